"""The recipe of FARGAN on corpora of seconds: it can be killed, and leaves a model that the core loads."""

import json

import numpy as np
import pytest

from recipes import train, train_with_two, write_corpora

pytest.importorskip("torch")

from vivavoce._core import FarganNetwork, Model
from vivavoce.signal.cepstrum import FEATURES, HOP, LPC_ORDER
from vivavoce.training.corpus import SPEECH_CORPORA
from vivavoce.vocoder.fargan import MEMORY
from vivavoce.vocoder.train import cut

SMOKE = ["--size", "tiny", "--batch", "4", "--seconds", "1", "--frames", "3", "--no-compiled", "--echo", "2"]
SMOKE += ["--threads", "1", "--warmup", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpora(tmp_path_factory.mktemp("data"))


def test_a_run_leaves_a_model_and_another_begins_with_it(data, tmp_path):
    out, cache = tmp_path / "first", ("--cache", str(tmp_path / "cache"))
    train("fargan", data, out, *SMOKE, *cache, "--steps", "50", "--name", "fargan-tiny-v1")
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 50
    card = json.loads((out / "fargan-tiny-v1.json").read_text())
    assert card["steps"] == 50
    assert card["system"] == "fargan"
    assert set(card["data"]) == set(SPEECH_CORPORA)
    model = Model(str(out / "fargan-tiny-v1.vvm"))
    assert (model.name, model.system, model.sample_rate) == ("fargan-tiny-v1", "fargan", 16_000)
    made = FarganNetwork(model).synthesise(np.zeros((3, 20), np.float32))
    assert np.isfinite(made).all()

    # killed after its last checkpoint: what is missing is made
    (out / "fargan-tiny-v1.json").unlink()
    train("fargan", data, out, *SMOKE, *cache, "--steps", "50", "--name", "fargan-tiny-v1")
    assert json.loads((out / "fargan-tiny-v1.json").read_text()) == card

    again = tmp_path / "second"
    train("fargan", data, again, *SMOKE, *cache, "--steps", "1", "--init", str(out / "fargan-tiny-v1.safetensors"))
    assert json.loads((again / "fargan-base-v1.json").read_text())["begun_from"] == "fargan-tiny-v1.safetensors"


def test_two_processes_train_together(data, tmp_path):
    options = [*SMOKE, "--steps", "4", "--workers", "0", "--cache", str(tmp_path / "cache"), "--name", "two-v1"]
    train_with_two("fargan", data, tmp_path / "out", *options)
    assert json.loads((tmp_path / "out/two-v1.json").read_text())["steps"] == 4


def test_a_sequence_is_cut_where_it_says():
    """What belongs together stays together, and of two places the louder is taken."""
    frames, per_sample = np.arange(40), np.repeat(np.arange(40), HOP)[None].astype(np.float32)
    features = np.zeros((1, 40, FEATURES), np.float32)
    features[0, :, 0], features[0, :, 1] = np.where(frames > 20, 5, 0), frames
    items = {
        "features": features,
        "predictions": np.broadcast_to(frames[None, :, None, None], (1, 40, 4, LPC_ORDER)),
        "levels": np.broadcast_to(frames[None, :, None], (1, 40, 4)),
        "samples": per_sample,
        "excitation": -per_sample,
    }
    starts = []
    for seed in range(200):
        sequence = {name: array[0] for name, array in cut(items, 3, np.random.default_rng(seed)).items()}
        start = int(sequence["features"][1, 1])
        starts.append(start)
        assert sequence["features"][:, 1].tolist() == list(range(start - 1, start + 6))
        assert sequence["predictions"][:, 0, 0].tolist() == list(range(start, start + 5))
        assert sequence["levels"][:, 3].tolist() == list(range(start, start + 5))
        assert sequence["samples"].reshape(5, HOP)[:, 7].tolist() == list(range(start, start + 5))
        assert (sequence["excitation"] == -sequence["samples"]).all()
        assert sequence["past"].shape == (MEMORY,)
        assert sequence["past"][[0, -1]].tolist() == [-(start - 2), -(start - 1)]
        assert sequence["samples_before"].tolist() == [start - 1] * LPC_ORDER
    assert min(starts) >= 2
    assert max(starts) == 34
    assert np.mean(np.array(starts) > 17) > 0.6
