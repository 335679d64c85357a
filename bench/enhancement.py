"""Our denoiser and those of others, side by side in one run; prints JSON, one object a line.

    python bench/enhancement.py --data DIR [--parts quality,speed] [--model NAME ...] [--markdown]

Peers run in a virtual environment of their own, which is made from the registry under `tests/constraints.txt`; one that
does not run is left out, and the reason is told. Their outputs and all scores are kept in --output: a run for another
model computes only what is new.

Parts: `quality`, noise and babble on the noisy sets; `clean`, clean speech in; `level`, PESQ by input level; `speech`,
how much of narrow-band and wide-band speech is taken away; `voice`, the ROC of `voice_probability`; `speed`, CPU beside
RNNoise, threads, worst frames; `memory`, that and construction; and, only when asked for, `silence`: 24 hours of it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from enhancement_bench import Bench
from enhancement_guards import clean_speech, levels
from enhancement_memory import memory
from enhancement_peers import PEERS, PeerEnvironment
from enhancement_quality import QualityTable, quality
from enhancement_silence import silence
from enhancement_speech import speech_preserved, voice_activity
from enhancement_speed import speed
from report import Report, tell

from vivavoce.errors import VivavoceError
from vivavoce.evaluation.enhancement import our_systems
from vivavoce.evaluation.noisy import NOISY_SETS
from vivavoce.evaluation.workers import available_cores

PARTS: dict[str, Callable[[Bench], Iterator[QualityTable] | Iterator[Report]]] = {
    "quality": quality,
    "clean": clean_speech,
    "level": levels,
    "speech": speech_preserved,
    "voice": voice_activity,
    "speed": speed,
    "memory": memory,
    "silence": silence,
}
ONLY_WHEN_ASKED_FOR = "silence"


def main() -> None:
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        data=arguments.data,
        output=arguments.output,
        environment=PeerEnvironment(arguments.output / "peers-env"),
        peers=[PEERS[name] for name in arguments.peers.split(",") if name],
        models={} if arguments.no_ours else our_systems(arguments.model),
        sets=arguments.set or list(NOISY_SETS),
        split=arguments.split,
        count=arguments.count,
        jobs=arguments.jobs,
    )
    told: set[str] = set()
    for part in arguments.parts:
        for report in PARTS[part](bench):
            if isinstance(report, QualityTable):
                _tell_left_out(report, told)
            tell("enhancement", report, arguments.markdown)


def _tell_left_out(table: QualityTable, told: set[str]) -> None:
    for run in table.runs:
        if run.reason and run.peer.name not in told:
            told.add(run.peer.name)
            print(f"{run.peer.name} is left out: {run.reason}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score our denoiser beside others; print JSON lines.")
    data = os.environ.get("VIVAVOCE_DATA")
    parts = ",".join(part for part in PARTS if part != ONLY_WHEN_ASKED_FOR)
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="folder of the corpora")
    parser.add_argument("--output", type=Path, default=Path("build/bench-enhancement"), help="kept between runs")
    parser.add_argument("--parts", type=_parts, default=parts, help=f"some of {','.join(PARTS)}; default: {parts}")
    parser.add_argument("--set", action="append", choices=list(NOISY_SETS), help="repeatable; all unless told")
    parser.add_argument("--split", default="test", choices=("test", "val"), help="val chooses models, test is shown")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated; empty for none")
    parser.add_argument("--model", action="append", default=[], help="of ours, repeatable; the default one unless told")
    parser.add_argument("--no-ours", action="store_true", help="peers only")
    parser.add_argument("--count", type=int, help="only so many clips of a set")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="processes that score")
    parser.add_argument("--markdown", action="store_true", help="tables instead of JSON")
    return parser.parse_args()


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no part is called {unknown[0]!r}; there are: {', '.join(PARTS)}")
    return parts


if __name__ == "__main__":
    try:
        main()
    except VivavoceError as error:
        sys.exit(f"bench/enhancement.py: {error}")
