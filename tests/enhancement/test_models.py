"""What the package ships: each model's image is made of its weights, and its card says how they were made."""

import json

import numpy as np
import pytest

from vivavoce import Denoiser
from vivavoce.enhancement.denoiser import DEFAULT_MODEL, DEFAULT_MODEL_LOW_DELAY
from vivavoce.enhancement.image import model_image
from vivavoce.models import MODELS

SHIPPED = sorted(path.stem for path in MODELS.glob("percepnet-*.vvm"))


def test_the_default_models_are_shipped():
    assert {DEFAULT_MODEL, DEFAULT_MODEL_LOW_DELAY} <= set(SHIPPED)
    assert Denoiser().delay_samples == 1440
    assert Denoiser(lookahead=False).delay_samples == 480


@pytest.mark.parametrize("name", SHIPPED)
def test_the_image_is_made_of_the_weights(name):
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(str(MODELS / f"{name}.safetensors"), "np") as file:
        weights = {key: file.get_tensor(key).astype(np.float32) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    assert model_image(weights, metadata) == (MODELS / f"{name}.vvm").read_bytes()
    assert metadata["name"] == name


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_tells_how_it_was_made(name):
    card = json.loads((MODELS / f"{name}.json").read_text())
    assert card["name"] == name
    for entry in ("architecture", "data", "scales_in_the_loss", "splits", "recipe", "steps", "metrics", "licence"):
        assert card[entry], entry


@pytest.mark.parametrize("name", SHIPPED)
def test_it_takes_noise_away_and_leaves_speech(name, speech_16k):
    from vivavoce.enhancement.denoiser import denoise

    noise = 0.02 * np.random.default_rng(0).standard_normal(len(speech_16k)).astype(np.float32)
    rest = denoise(noise, 16_000, name)
    kept = denoise(speech_16k, 16_000, name)
    assert (rest[8_000:] ** 2).mean() < 0.1 * (noise[8_000:] ** 2).mean()
    assert (kept**2).mean() > 0.5 * (speech_16k**2).mean()
