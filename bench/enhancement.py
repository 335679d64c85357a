"""Our denoiser and those of others, side by side in one run; prints JSON, one object a line.

    python bench/enhancement.py --data DIR [--model NAME ...] [--markdown]

Peers run in a virtual environment of their own, which is made from the registry under `tests/constraints.txt`; one that
does not run is left out, and the reason is told. Their outputs and all scores are kept in --output: a run for another
model computes only what is new. Parts, a module each: `enhancement_quality`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from enhancement_peers import PEERS, PeerEnvironment, PeerRun
from enhancement_quality import QualityTable, measure_quality

from vivavoce.errors import VivavoceError
from vivavoce.evaluation.enhancement import our_systems
from vivavoce.evaluation.noisy import NOISY_SETS
from vivavoce.evaluation.workers import available_cores


def main() -> None:
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    environment = PeerEnvironment(arguments.output / "peers-env")
    models = {} if arguments.no_ours else our_systems(arguments.model)
    for which in arguments.set:
        tables, runs = measure_quality(
            arguments.data,
            which,
            arguments.output,
            environment,
            [PEERS[name] for name in arguments.peers.split(",") if name],
            models,
            arguments.jobs,
            arguments.split,
            arguments.count,
        )
        _print(tables, runs, arguments.markdown)


def _print(tables: Sequence[QualityTable], runs: Sequence[PeerRun], markdown: bool) -> None:
    cpu = {run.peer.name: run.cpu_s_per_s for run in runs}
    for run in runs:
        if run.reason:
            print(f"{run.peer.name} is left out: {run.reason}", file=sys.stderr)
    for table in tables:
        if markdown:
            print(table.as_markdown())
        else:
            for record in table.as_json(cpu):
                print(json.dumps(record), flush=True)
    if markdown:
        used = (f"{run.peer.name} {run.version} {run.cpu_s_per_s:.2%}" for run in runs if run.cpu_s_per_s is not None)
        print(f"CPU of one pinned core: {', '.join(used)}.\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score our denoiser beside others; print JSON lines.")
    data = os.environ.get("VIVAVOCE_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="folder of the corpora")
    parser.add_argument("--output", type=Path, default=Path("build/bench-enhancement"), help="kept between runs")
    parser.add_argument("--set", action="append", choices=list(NOISY_SETS), help="repeatable; all unless told")
    parser.add_argument("--split", default="test", choices=("test", "val"), help="val chooses models, test is shown")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated; empty for none")
    parser.add_argument("--model", action="append", default=[], help="of ours, repeatable; the default one unless told")
    parser.add_argument("--no-ours", action="store_true", help="peers only")
    parser.add_argument("--count", type=int, help="only so many clips of a set")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="processes that score")
    parser.add_argument("--markdown", action="store_true", help="tables instead of JSON")
    arguments = parser.parse_args()
    arguments.set = arguments.set or list(NOISY_SETS)
    return arguments


if __name__ == "__main__":
    try:
        main()
    except VivavoceError as error:
        sys.exit(f"bench/enhancement.py: {error}")
