"""Recipes run at smoke size, as a user runs them, on corpora of seconds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from corpora import voice, write_corpus
from vivavoce.training.corpus import NOISE_CORPORA, SPEECH_CORPORA

RECIPES = Path(__file__).parent.parent / "recipes"
TIMEOUT_S = 240


def write_corpora(folder):
    """All corpora of the recipes, with the traces."""
    random = np.random.default_rng(0)
    for name in SPEECH_CORPORA:
        items = [
            ({"id": f"{name}-{split}-{n}", "split": split, "speaker": f"{n}"}, voice(random, 1.2, 16_000))
            for split in ("train", "val")
            for n in range(3)
        ]
        write_corpus(folder, name, items, 16_000)
    for name in NOISE_CORPORA:
        items = [
            ({"id": f"{name}-{split}", "split": split, "category": "hiss"}, 0.1 * random.standard_normal(16_000))
            for split in ("train", "val")
        ]
        write_corpus(folder, name, items, 16_000)
    room = np.exp(-np.arange(8_000) / 800) * random.standard_normal(8_000)
    write_corpus(folder, "rir", [({"id": "room"}, np.concatenate([[1.0], 0.2 * room / np.abs(room).max()]))], 48_000)
    (folder / "loss").mkdir()
    (folder / "loss/one.txt").write_text("".join(f"{lost:d}\n" for lost in random.random(500) < 0.2))
    return folder


def train(system, data, out, *options, check=True):
    """`vivavoce train SYSTEM` in one process."""
    command = [sys.executable, "-m", "vivavoce", "train", system, "--data", str(data), "--out", str(out), *options]
    run = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert not check or run.returncode == 0, run.stderr[-2000:]
    return run


def train_with_two(system, data, out, *options):
    """The recipe in two processes."""
    environment = os.environ | {"PROCESSES": "2", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["sh", str(RECIPES / f"{system}.sh"), str(data), str(out), *options]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert run.returncode == 0, run.stderr[-2000:]
