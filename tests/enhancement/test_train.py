"""The recipe on corpora of seconds: it learns, can be killed, and leaves a model that the core loads."""

import json

import numpy as np
import pytest

import recipes
from corpora import voice
from recipes import write_corpora

pytest.importorskip("torch")
pytest.importorskip("pyroomacoustics")

from vivavoce._core import Model, PercepNetNetwork
from vivavoce.enhancement.train import JUDGED_DB, JUDGED_ONE_IN, ItemMaker, band_mask, training_item
from vivavoce.training.corpus import NOISE_CORPORA, SPEECH_CORPORA
from vivavoce.training.level import active_power, level_db
from vivavoce.training.mixing import Mixture

SMOKE = ["--size", "tiny", "--batch", "2", "--seconds", "1", "--rooms", "2", "--threads", "1", "--warmup", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpora(tmp_path_factory.mktemp("data"))


def train(data, out, *options, check=True):
    return recipes.train("percepnet", data, out, *SMOKE, *options, check=check)


def test_a_run_leaves_a_model_and_another_begins_with_it(data, tmp_path):
    out = tmp_path / "first"
    train(data, out, "--steps", "12", "--name", "percepnet-tiny-v1", "--cache", str(tmp_path / "cache"))
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 10
    card = json.loads((out / "percepnet-tiny-v1.json").read_text())
    assert card["steps"] == 12
    assert set(card["data"]) == {*SPEECH_CORPORA, *NOISE_CORPORA, "rir"}
    model = Model(str(out / "percepnet-tiny-v1.vvm"))
    assert (model.name, model.lookahead_frames) == ("percepnet-tiny-v1", 2)
    gains, strengths, voice_probability = PercepNetNetwork(model).step(np.zeros(70, np.float32))
    assert np.isfinite([*gains, *strengths, voice_probability]).all()

    # killed after its last checkpoint: what is missing is made
    (out / "percepnet-tiny-v1.json").unlink()
    train(data, out, "--steps", "12", "--name", "percepnet-tiny-v1", "--cache", str(tmp_path / "cache"))
    assert json.loads((out / "percepnet-tiny-v1.json").read_text()) == card

    again = tmp_path / "second"
    options = ("--steps", "1", "--init", str(out / "percepnet-tiny-v1.safetensors"), "--cache", str(tmp_path / "cache"))
    train(data, again, *options)
    assert json.loads((again / "percepnet-small-v1.json").read_text())["begun_from"] == "percepnet-tiny-v1.safetensors"


def test_two_processes_train_together(data, tmp_path):
    out = tmp_path / "out"
    options = [*SMOKE, "--steps", "4", "--workers", "0", "--cache", str(tmp_path / "cache"), "--name", "two-v1"]
    recipes.train_with_two("percepnet", data, out, *options)
    assert json.loads((out / "two-v1.json").read_text())["steps"] == 4
    assert Model(str(out / "two-v1.vvm")).name == "two-v1"


def test_a_missing_corpus_is_one_line(tmp_path):
    run = train(tmp_path, tmp_path / "out", "--steps", "1", check=False)
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert "kathleen-48k.jsonl" in run.stderr


def test_targets_of_clean_speech_are_ones_and_of_noise_alone_zeros():
    random = np.random.default_rng(1)
    speech, noise = voice(random, 2, 48_000), 0.05 * random.standard_normal(96_000).astype(np.float32)
    clean = training_item(Mixture(speech, speech, 24_000, "clean", np.inf, -26), 2)
    assert clean["gains"].min() > 0.999
    assert clean["strengths"].max() < 0.01
    silent = training_item(Mixture(noise, 0 * noise, 24_000, "noise only", -np.inf, -26), 2)
    assert silent["gains"][1:].max() < 0.01
    assert silent["voice"].max() == 0


@pytest.mark.parametrize(
    ("index", "kind", "bandwidth_hz", "judged"),
    [
        pytest.param(0, "mixed", 24_000, True, id="the first"),
        pytest.param(JUDGED_ONE_IN, "noise first", 8_000, True, id="wide band"),
        pytest.param(1, "mixed", 24_000, False, id="not its turn"),
        pytest.param(0, "mixed", 4_000, False, id="narrow band"),
        pytest.param(0, "noise only", 24_000, False, id="no speech"),
    ],
)
def test_some_items_go_to_the_judge_at_an_ordinary_level(index, kind, bandwidth_hz, judged):
    class Mixer:
        seed = 0

        def mixture(self, index):
            speech = 0.02 * voice(np.random.default_rng(index), 2, 48_000)
            snr_db = -np.inf if kind == "noise only" else 30.0
            return Mixture(speech, speech, bandwidth_hz, kind, snr_db, level_db(active_power(speech)))

    item = ItemMaker(Mixer(), 2, shift_levels=False)(index)
    assert item["judged"] == judged
    assert item["sound"].shape == (32_000,)
    if judged:
        assert level_db(active_power(item["sound"].astype(np.float32))) == pytest.approx(
            JUDGED_DB, abs=3
        )  # a part is above 8 kHz
    else:
        assert not item["sound"].any()


def test_bands_above_the_speech_are_masked():
    assert band_mask(24_000).all()
    assert band_mask(20_000).all()
    assert band_mask(8_000).sum() == 27
    assert band_mask(4_000).sum() == 22
