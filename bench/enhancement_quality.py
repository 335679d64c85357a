"""Quality of denoisers on the noisy sets: one table for each set and SNR, babble apart, never pooled over sets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhancement_peers import Peer, PeerEnvironment, PeerRun

from vivavoce.audio import write_wav
from vivavoce.evaluation.enhancement import CLEAN, NOISY, SystemScores, denoise_clips, match_files, score_systems
from vivavoce.evaluation.enhancement_tables import SystemRow, footnotes, markdown_table, summarise_systems
from vivavoce.evaluation.noisy import BABBLE, SNRS_DB, NoisyClip, build_noisy_set
from vivavoce.evaluation.results import ResultFile

METRICS = ("pesq", "stoi", "estoi", "si_sdr", "sig", "bak", "ovrl", "p808")


@dataclass(frozen=True)
class QualityTable:
    """One group of clips of one set.

    Attributes:
        which: The set.
        group: Which of its clips.
        rows: One for each system.
    """

    which: str
    group: str
    rows: list[SystemRow]

    def as_json(self, cpu: dict[str, float | None]) -> Iterator[dict[str, Any]]:
        """One object for each system."""
        for row in self.rows:
            about = {"bench": "enhancement", "part": "quality", "set": self.which, "group": self.group}
            yield about | row.as_json() | {"cpu_s_per_s": cpu.get(row.system)}

    def as_markdown(self) -> str:
        """A heading, the table, and its notes."""
        title = f"### {self.which}: {self.group}"
        return "\n".join([title, "", markdown_table(self.rows, METRICS), "", *footnotes(self.rows), ""])


def measure_quality(
    data: Path,
    which: str,
    folder: Path,
    environment: PeerEnvironment,
    peers: Sequence[Peer],
    models: Mapping[str, str | None],
    jobs: int,
    split: str = "test",
    count: int | None = None,
) -> tuple[list[QualityTable], list[PeerRun]]:
    """Run peers and our models on a set, and score them.

    Args:
        data: Folder of the corpora.
        which: The set.
        folder: Keeps the set, the outputs and the scores; what is known is not computed again.
        environment: Of the peers.
        peers: Which.
        models: Ours, by the name of the system; None is the default model.
        jobs: Processes that score.
        split: Of the set.
        count: Only so many clips.

    Returns:
        Tables, and how each peer did.
    """
    noisy_clips = build_noisy_set(data, which, split, count)
    folder = folder / f"{which}-{split}"
    write_set(noisy_clips, folder)
    runs = [environment.run(peer, folder / NOISY, folder / "peers" / peer.name) for peer in peers]
    processed = {run.peer.name: run.folder for run in runs if run.folder is not None}
    clips = match_files(folder / CLEAN, folder / NOISY, processed)
    for name, model in models.items():
        clips = denoise_clips(clips, name, folder / "ours" / name, model, jobs)
    with ResultFile(folder / "scores.jsonl") as results:
        systems = score_systems(clips, METRICS, results, list(models), jobs)
    return list(_tables(f"{which} ({split})", noisy_clips, systems, list(models))), runs


def write_set(clips: Sequence[NoisyClip], folder: Path) -> None:
    """Write a set as 16-bit WAV; files of another set are removed."""
    for name in (CLEAN, NOISY):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (folder / name).glob("*.wav"):
            path.unlink()
        for clip in clips:
            samples = clip.clean if name == CLEAN else clip.noisy
            write_wav(folder / name / f"{clip.id}.wav", samples, clip.sample_rate)
    (folder / "clips.jsonl").write_text("".join(json.dumps(clip.as_json()) + "\n" for clip in clips))


def _tables(
    which: str, clips: Sequence[NoisyClip], systems: Sequence[SystemScores], ours: Sequence[str]
) -> Iterator[QualityTable]:
    """Noise at all SNRs, at each, and babble; ours minus every other system, or all minus noisy without ours."""
    noise = [clip for clip in clips if clip.noise_kind != BABBLE]
    groups = {"noise, 0 to 15 dB": noise}
    groups |= {f"noise, {snr_db} dB": [clip for clip in noise if clip.snr_db == snr_db] for snr_db in SNRS_DB}
    groups["babble, 0 to 15 dB"] = [clip for clip in clips if clip.noise_kind == BABBLE]
    others = [system.system for system in systems if system.system not in (CLEAN, *ours)]
    for group, members in groups.items():
        ids = {clip.id for clip in members}
        baselines, compared = (others, ours) if ours else ([NOISY], None)
        if ids:
            yield QualityTable(which, group, summarise_systems(systems, METRICS, baselines, ids, compared))
