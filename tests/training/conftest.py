import numpy as np
import pytest

from corpora import voice, write_corpus
from vivavoce.training.corpus import load_corpus


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """`wide`: 2 talkers at 48 kHz; `narrow`: 6 at 16 kHz; `sounds`: 3 kinds; each with train, val and test."""
    directory, random = tmp_path_factory.mktemp("corpora"), np.random.default_rng(0)

    def items(names, make):
        for name in names:
            for split in ("train", "val", "test"):
                label = {"category": name} if name.startswith("sound") else {"speaker": name}
                yield {"id": f"{name}-{split}", "split": split, **label}, make()

    write_corpus(directory, "wide", items(["w0", "w1"], lambda: voice(random, 1.5, 48_000)), 48_000)
    write_corpus(directory, "narrow", items([f"n{n}" for n in range(6)], lambda: voice(random, 1.2, 16_000)), 16_000)
    sounds = items([f"sound-{kind}" for kind in "abc"], lambda: 0.1 * random.standard_normal(30_000).clip(-4, 4))
    write_corpus(directory, "sounds", sounds, 48_000)
    return directory


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def speech(data, cache):
    return load_corpus(data, ["wide", "narrow"], "train", cache)


@pytest.fixture(scope="session")
def noise(data, cache):
    return load_corpus(data, ["sounds"], "train", cache)
