"""The recipe of the predictor on corpora of seconds: it can be killed, and leaves a model that the core loads."""

import json

import numpy as np
import pytest

from recipes import train, train_with_two, write_corpora

pytest.importorskip("torch")

from vivavoce._core import Model, PredictorNetwork
from vivavoce.training.corpus import SPEECH_CORPORA

SMOKE = ["--size", "tiny", "--batch", "4", "--seconds", "1", "--echo", "2"]
SMOKE += ["--threads", "1", "--warmup", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpora(tmp_path_factory.mktemp("data"))


def test_a_run_leaves_a_model_and_another_begins_with_it(data, tmp_path):
    out, cache = tmp_path / "first", ("--cache", str(tmp_path / "cache"))
    train("plc", data, out, *SMOKE, *cache, "--steps", "50", "--name", "plc-tiny-v1")
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 50
    card = json.loads((out / "plc-tiny-v1.json").read_text())
    assert card["steps"] == 50
    assert card["system"] == "plc"
    assert set(card["data"]) == set(SPEECH_CORPORA)
    model = Model(str(out / "plc-tiny-v1.vvm"))
    assert (model.name, model.system, model.sample_rate) == ("plc-tiny-v1", "plc", 16_000)
    predicted = PredictorNetwork(model).run(np.zeros((3, 57), np.float32))
    assert np.isfinite(predicted).all()

    # killed after its last checkpoint: what is missing is made
    (out / "plc-tiny-v1.json").unlink()
    train("plc", data, out, *SMOKE, *cache, "--steps", "50", "--name", "plc-tiny-v1")
    assert json.loads((out / "plc-tiny-v1.json").read_text()) == card

    again = tmp_path / "second"
    train("plc", data, again, *SMOKE, *cache, "--steps", "1", "--init", str(out / "plc-tiny-v1.safetensors"))
    assert json.loads((again / "plc-base-v1.json").read_text())["begun_from"] == "plc-tiny-v1.safetensors"


def test_two_processes_train_together(data, tmp_path):
    options = [*SMOKE, "--steps", "4", "--workers", "0", "--cache", str(tmp_path / "cache"), "--name", "two-v1"]
    train_with_two("plc", data, tmp_path / "out", *options)
    assert json.loads((tmp_path / "out/two-v1.json").read_text())["steps"] == 4
