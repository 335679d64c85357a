"""Quality of denoisers on the noisy sets: one table for each set and SNR, babble apart, never pooled over sets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhancement_bench import Bench
from enhancement_peers import Peer, PeerRun

from vivavoce.audio import write_wav
from vivavoce.evaluation.enhancement import CLEAN, NOISY, SystemScores, denoise_clips, match_files, score_systems
from vivavoce.evaluation.enhancement_tables import SystemRow, footnotes, markdown_table, summarise_systems
from vivavoce.evaluation.noisy import BABBLE, SNRS_DB, NoisyClip
from vivavoce.evaluation.results import ResultFile

METRICS = ("pesq", "stoi", "estoi", "si_sdr", "sig", "bak", "ovrl", "p808")


@dataclass(frozen=True)
class QualityTable:
    """One group of clips of one set.

    Attributes:
        part: Name of the part.
        which: The set.
        group: Which of its clips.
        rows: One for each system.
        runs: How each peer did.
        metrics: What was scored.
    """

    part: str
    which: str
    group: str
    rows: list[SystemRow]
    runs: Sequence[PeerRun]
    metrics: Sequence[str] = METRICS

    def as_json(self) -> Iterator[dict[str, Any]]:
        """One object for each system."""
        cpu = {run.peer.name: run.cpu_s_per_s for run in self.runs}
        about = {"part": self.part, "set": self.which, "group": self.group}
        for row in self.rows:
            yield about | row.as_json() | {"cpu_s_per_s": cpu.get(row.system)}

    def as_markdown(self) -> str:
        """A heading, the table, and its notes."""
        table = markdown_table(self.rows, self.metrics)
        used = [f"{run.peer.name} {run.version} {run.cpu_s_per_s:.2%}" for run in self.runs if run.cpu_s_per_s]
        notes = [*footnotes(self.rows), *([f"CPU of one pinned core: {', '.join(used)}."] if used else [])]
        return "\n".join([f"### {self.which}: {self.group}", "", table, "", *notes, ""])


def quality(bench: Bench) -> Iterator[QualityTable]:
    """Peers and our models on the noisy sets, by SNR, babble apart."""
    for which in bench.sets:
        folder, clips = set_folder(bench, which), bench.clips(which)
        write_set(clips, folder)
        systems, runs = score_folders(bench, folder / CLEAN, folder / NOISY, folder, bench.peers, METRICS)
        yield from _tables(f"{which} ({bench.split})", clips, systems, list(bench.models), runs)


def set_folder(bench: Bench, which: str) -> Path:
    """Where all about a set is kept."""
    return bench.output / f"{which}-{bench.split}"


def score_folders(
    bench: Bench, clean: Path, noisy: Path, place: Path, peers: Sequence[Peer], metrics: Sequence[str]
) -> tuple[list[SystemScores], list[PeerRun]]:
    """Run peers and our models on a folder, and score them.

    Args:
        bench: What to measure.
        clean: Folder of WAVs.
        noisy: Likewise, with the same names.
        place: Keeps the outputs, in `peers` and `ours`, and `scores.jsonl`.
        peers: Which.
        metrics: Names.

    Returns:
        Scores, and how each peer did.
    """
    runs = [bench.environment.run(peer, noisy, place / "peers" / peer.name) for peer in peers]
    clips = match_files(clean, noisy, {run.peer.name: run.folder for run in runs if run.folder is not None})
    for name, model in bench.models.items():
        clips = denoise_clips(clips, name, place / "ours" / name, model, bench.jobs)
    with ResultFile(place / "scores.jsonl") as results:
        return score_systems(clips, metrics, results, list(bench.models), bench.jobs), runs


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
    which: str,
    clips: Sequence[NoisyClip],
    systems: Sequence[SystemScores],
    ours: Sequence[str],
    runs: Sequence[PeerRun],
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
            rows = summarise_systems(systems, METRICS, baselines, ids, compared)
            yield QualityTable("quality", which, group, rows, runs)
