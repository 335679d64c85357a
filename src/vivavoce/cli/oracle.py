"""`vivavoce evaluate enhancement --oracle`: the oracle ladder, scored, drawn, and written down to be heard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vivavoce.cli.evaluate_enhancement import SCORES, own_folder, place, write_clips
from vivavoce.cli.options import warn
from vivavoce.cli.stages import progress_bars, work
from vivavoce.errors import ModelError

if TYPE_CHECKING:
    from vivavoce.evaluation.enhancement import Clip
    from vivavoce.evaluation.enhancement_tables import SystemRow

DEFAULT_SNR_DB = 5.0
PICTURES = "pictures"


@dataclass(frozen=True)
class LadderSource:
    """Where the clips of a ladder come from: one of two files, two folders, a set of the corpora.

    Attributes:
        clean: File or folder.
        noisy: Folder that goes with a folder of clean files.
        noise: File that goes with a clean file.
        snrs_db: At which `noise` is mixed in.
        noisy_set: Name of a set.
        data: Folder of the corpora.
        split: Of the set.
        count: Only so many clips of the set.

    Raises:
        ValueError: Not just one of the three, or what is missing for it.
    """

    clean: Path | None
    noisy: Path | None
    noise: Path | None
    snrs_db: Sequence[float]
    noisy_set: str | None
    data: Path | None
    split: str
    count: int | None

    def __post_init__(self) -> None:
        from vivavoce.evaluation.noisy import check_set

        given = (self.clean is not None, self.noisy is not None, self.noise is not None, self.noisy_set is not None)
        if given not in ((True, False, True, False), (True, True, False, False), (False, False, False, True)):
            raise ValueError("--oracle needs --clean FILE --noise FILE, or --clean DIR --noisy DIR, or --set NAME")
        if self.snrs_db and self.noise is None:
            raise ValueError("--snr goes with --noise")
        if self.noisy_set is None:
            if self.count is not None:
                raise ValueError("--count goes with --set")
            return
        check_set(self.noisy_set, self.split)
        if self.data is None:
            raise ValueError("--set needs the corpora: --data DIR, or VIVAVOCE_DATA")

    def clips(self, folder: Path) -> dict[float | None, list[Clip]]:
        """The clips of each table, by the SNR where there is a table for each; what is mixed goes into the folder."""
        from vivavoce.evaluation.enhancement import match_files
        from vivavoce.evaluation.noisy import build_noisy_set
        from vivavoce.evaluation.oracle import mix_pair

        if self.clean is not None and self.noisy is not None:
            return {None: match_files(self.clean, self.noisy)}
        if self.clean is not None and self.noise is not None:
            snrs = mix_pair(self.clean, self.noise, self.snrs_db or [DEFAULT_SNR_DB], folder)
        else:
            noisy_clips = build_noisy_set(self.data or "", self.noisy_set or "", self.split, self.count)
            write_clips(noisy_clips, folder, force=True)
            snrs = {clip.id: None for clip in noisy_clips}
        tables: dict[float | None, list[Clip]] = {}
        for clip in match_files(folder / "clean", folder / "noisy"):
            if clip.id in snrs:  # an earlier run may have left others
                tables.setdefault(snrs[clip.id], []).append(clip)
        return tables


def climb(
    source: LadderSource,
    metrics: Sequence[str],
    networks: Mapping[str, str | None],
    output_dir: Path | None,
    jobs: int,
    force: bool,
) -> Iterator[tuple[float | None, list[SystemRow]]]:
    """Make, draw and score the rungs, and the networks above them; one table for each SNR, or one for all clips."""
    from vivavoce.evaluation.enhancement import denoise_clips, score_systems
    from vivavoce.evaluation.oracle import climb_clips, summarise_ladder
    from vivavoce.evaluation.oracle_plot import draw_ladder
    from vivavoce.evaluation.results import ResultFile

    networks = _available(networks)
    if output_dir is not None:
        own_folder(output_dir, force)
    with work(), place(output_dir) as folder, progress_bars() as progress:
        tables = source.clips(folder)
        clips = climb_clips([clip for each in tables.values() for clip in each], folder, jobs, progress)
        for name, model in networks.items():
            clips = denoise_clips(clips, name, folder / name, model, jobs, progress)
        if output_dir is not None:
            for done, clip in enumerate(clips, start=1):
                path = folder / PICTURES / f"{clip.id}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_ladder(clip.outputs, path, clip.id)
                progress("pictures", done, len(clips))
        with ResultFile(folder / SCORES if output_dir else None, restart=force) as results:
            systems = score_systems(clips, metrics, results, list(clips[0].outputs), jobs, progress)
    for snr_db in sorted(tables, key=lambda each: each or 0.0):
        yield snr_db, summarise_ladder(systems, metrics, {clip.id for clip in tables[snr_db]})


def _available(networks: Mapping[str, str | None]) -> dict[str, str | None]:
    """Those that can be run; where the default model is not there, the ladder is climbed without it."""
    from vivavoce.enhancement.denoiser import DEFAULT_MODEL
    from vivavoce.models import find_model

    found: dict[str, str | None] = {}
    for name, model in networks.items():
        try:
            find_model(model or DEFAULT_MODEL)
        except ModelError as error:
            if model is not None:
                raise
            warn(f"the ladder ends below the trained network: {error}")
        else:
            found[name] = model
    return found
