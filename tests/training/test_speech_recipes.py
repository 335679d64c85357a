"""Recipes that learn from speech alone, on seconds of it: they can be killed, and leave a model for the core."""

import json

import numpy as np
import pytest

from recipes import train, train_with_two, write_corpora

pytest.importorskip("torch")

from vivavoce._core import Model, PredictorNetwork, RdoVaeNetwork, VocoderNetwork
from vivavoce.training.corpus import SPEECH_CORPORA
from vivavoce.training.export import read_weights, write_weights

SMOKE = ["--size", "tiny", "--batch", "4", "--seconds", "1", "--echo", "2", "--threads", "1", "--warmup", "2"]
FARGAN = pytest.param(
    "fargan",
    [*SMOKE, "--frames", "3", "--no-compiled"],
    lambda model: VocoderNetwork(model).synthesise(np.zeros((3, 20), np.float32)),
    id="fargan",
)
LPCNET = pytest.param(
    "lpcnet",
    [*SMOKE, "--frames", "3"],
    lambda model: VocoderNetwork(model).synthesise(np.zeros((3, 20), np.float32)),
    id="lpcnet",
)
PLC = pytest.param("plc", SMOKE, lambda model: PredictorNetwork(model).run(np.zeros((3, 78), np.float32)), id="plc")
RDOVAE = pytest.param(
    "rdovae", SMOKE, lambda model: RdoVaeNetwork(model).encode(np.zeros((3, 40), np.float32))[0], id="rdovae"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpora(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(("system", "options", "run"), [FARGAN, LPCNET, PLC, RDOVAE])
def test_a_run_leaves_a_model_and_another_begins_with_it(data, tmp_path, system, options, run):
    out, name = tmp_path / "first", f"{system}-tiny-v1"
    options = [*options, "--cache", str(tmp_path / "cache")]
    train(system, data, out, *options, "--steps", "50", "--name", name)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 50
    card = json.loads((out / f"{name}.json").read_text())
    assert card["steps"] == 50
    assert card["system"] == system
    assert set(card["data"]) == set(SPEECH_CORPORA)
    model = Model(str(out / f"{name}.vvm"))
    assert (model.name, model.system, model.sample_rate) == (name, system, 16_000)
    assert np.isfinite(run(model)).all()

    # killed after its last checkpoint: what is missing is made
    (out / f"{name}.json").unlink()
    train(system, data, out, *options, "--steps", "50", "--name", name)
    assert json.loads((out / f"{name}.json").read_text()) == card

    again = tmp_path / "second"
    train(system, data, again, *options, "--steps", "1", "--init", str(out / f"{name}.safetensors"))
    assert json.loads((again / f"{system}-base-v1.json").read_text())["begun_from"] == f"{name}.safetensors"


@pytest.mark.parametrize(("system", "options", "run"), [FARGAN, LPCNET, PLC, RDOVAE])
def test_two_processes_train_together(data, tmp_path, system, options, run):
    options = [*options, "--steps", "4", "--workers", "0", "--cache", str(tmp_path / "cache"), "--name", "two-v1"]
    train_with_two(system, data, tmp_path / "out", *options)
    assert json.loads((tmp_path / "out/two-v1.json").read_text())["steps"] == 4


def test_two_processes_train_a_fargan_against_adversaries(data, tmp_path):
    options = [*FARGAN.values[1], "--adversarial", "0.1", "--workers", "0", "--cache", str(tmp_path / "cache")]
    train_with_two("fargan", data, tmp_path / "out", *options, "--steps", "50", "--name", "two-v1")
    last = json.loads((tmp_path / "out/log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 50
    assert 0 < last["telling"] < 2
    weights = read_weights(tmp_path / "out/two-v1.safetensors")[0]
    assert not any("judge" in name for name in weights)


def test_a_postfilter_is_trained_behind_a_fargan(data, tmp_path):
    cache = ["--cache", str(tmp_path / "cache")]
    train("fargan", data, tmp_path / "bare", *FARGAN.values[1], *cache, "--steps", "1", "--name", "bare-v1")
    init = tmp_path / "bare/bare-v1.safetensors"
    options = ["--init", str(init), "--batch", "4", "--seconds", "1", "--frames", "20", "--threads", "1", *cache]
    out = tmp_path / "out"
    train("fargan-postfilter", data, out, *options, "--steps", "30", "--name", "whole-v1", "--adversarial", "0.1")
    bare, whole = (json.loads(path.read_text()) for path in (init.with_suffix(".json"), out / "whole-v1.json"))
    assert {**whole.pop("postfilter"), "source_revision": "", "validation_loss": 0} == {
        "recipe": "recipes/fargan-postfilter.sh",
        "source_revision": "",
        "steps": 30,
        "hours_of_audio_seen": 0.0,
        "validation_loss": 0,
    }
    assert whole == {**bare, "name": "whole-v1"}
    before, after = (read_weights(path)[0] for path in (init, out / "whole-v1.safetensors"))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("postfilter.") for name in changed)
    made = VocoderNetwork(Model(str(out / "whole-v1.vvm"))).synthesise(np.zeros((3, 20), np.float32))
    assert np.isfinite(made).all()

    train_with_two("fargan-postfilter", data, tmp_path / "two", *options, "--steps", "4", "--name", "two-v1")
    assert json.loads((tmp_path / "two/two-v1.json").read_text())["postfilter"]["steps"] == 4


@pytest.mark.parametrize(
    ("system", "card", "said"),
    [
        ("fargan", False, "lost.json"),
        ("fargan", True, "weights of another network"),
        ("plc", True, "no weights of a FARGAN"),
    ],
)
def test_a_postfilter_behind_no_fargan_is_refused(data, tmp_path, system, card, said):
    init = tmp_path / "lost.safetensors"
    write_weights(init, {"gain.bias": np.zeros(1, np.float32)}, {"system": system, "size": "tiny"})
    if card:
        init.with_suffix(".json").write_text("{}")
    run = train("fargan-postfilter", data, tmp_path, "--init", str(init), check=False)
    assert run.returncode in (1, 2)
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_sequences_longer_than_their_items_are_refused(data, tmp_path):
    init = tmp_path / "some.safetensors"
    write_weights(init, {"gain.bias": np.zeros(1, np.float32)}, {"system": "fargan", "size": "tiny"})
    run = train("fargan-postfilter", data, tmp_path, "--init", str(init), "--seconds", "0.5", check=False)
    assert run.returncode == 2
    assert "80 frames is too long for items of 0.5 s" in run.stderr


def test_items_shorter_than_a_span_are_refused(data, tmp_path):
    run = train("rdovae", data, tmp_path, "--seconds", "0.5", check=False)
    assert run.returncode == 2
    assert "items must last 1 s" in run.stderr
    assert "Traceback" not in run.stderr
