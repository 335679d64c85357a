"""What the package ships for concealment and redundancy: images of their weights, cards, and speech that goes on."""

import json

import numpy as np
import pytest

from vivavoce._core import Concealer, Model
from vivavoce.audio import resample
from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.concealment.concealer import create_concealer
from vivavoce.concealment.image import predictor_image
from vivavoce.concealment.neural import PREDICTOR, VOCODER, NeuralConcealment
from vivavoce.errors import ModelError
from vivavoce.models import MODELS
from vivavoce.redundancy.image import rdovae_image
from vivavoce.vocoder.fargan_image import fargan_image
from vivavoce.vocoder.lpcnet_image import lpcnet_image

SLOT = 320
SHIPPED = [
    pytest.param(PREDICTOR, predictor_image, id="predictor"),
    pytest.param(VOCODER, fargan_image, id="fargan"),
    pytest.param("lpcnet-base-v1", lpcnet_image, id="lpcnet"),
    pytest.param("rdovae-base-v1", rdovae_image, id="rdovae"),
]


@pytest.mark.parametrize(("name", "image_of"), SHIPPED)
def test_the_image_is_made_of_the_weights(name, image_of):
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(str(MODELS / f"{name}.safetensors"), "np") as file:
        weights = {key: file.get_tensor(key).astype(np.float32) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    assert image_of(weights, metadata) == (MODELS / f"{name}.vvm").read_bytes()
    assert metadata["name"] == name


@pytest.mark.parametrize(("name", "image_of"), SHIPPED)
def test_the_card_tells_how_it_was_made(name, image_of):
    card = json.loads((MODELS / f"{name}.json").read_text())
    assert card["name"] == name
    for entry in ("architecture", "data", "splits", "recipe", "steps", "metrics", "licence"):
        assert card[entry], entry


def log_spectra(samples):
    frames = np.lib.stride_tricks.sliding_window_view(samples, SLOT)[::80] * np.hanning(SLOT)
    return np.log10(np.abs(np.fft.rfft(frames)) ** 2 + 1e-4)


def distance(concealer, speech):
    """Mean log-spectral distance from the speech where every fifth slot was lost, over these slots."""
    encoder, decoder, distances = OpusEncoder(16_000), OpusDecoder(16_000), []
    for index, slot in enumerate(speech[: len(speech) // SLOT * SLOT].reshape(-1, SLOT)):
        if index % 5 != 4:
            concealer.receive(decoder.decode(encoder.encode(slot)))
        elif (slot**2).mean() > 1e-4:
            made = concealer.conceal(decoder, SLOT)
            distances.append(np.abs(log_spectra(made) - log_spectra(slot)).mean())
        else:
            concealer.conceal(decoder, SLOT)
    return np.mean(distances)


def test_what_is_made_is_nearer_to_the_speech_than_silence_is(speech_16k):
    neural = distance(create_concealer("neural", 16_000), speech_16k)
    assert neural < 0.5 * distance(create_concealer("silence", 16_000), speech_16k)


@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_a_gap_is_nearer_to_the_speech_where_its_end_is_foreseen(speech_16k, sample_rate):
    speech = resample(speech_16k, 16_000, sample_rate)
    gap, behind = sample_rate // 10, 6 * sample_rate // 100
    models = [Model(str(MODELS / f"{name}.vvm")) for name in (PREDICTOR, VOCODER)]
    distances = []
    for at in range(sample_rate, len(speech) - gap - behind, sample_rate // 4):
        lost = speech[at : at + gap]
        if (lost**2).mean() < 1e-4:
            continue
        concealer = Concealer(*models, sample_rate)
        concealer.receive(speech[:at])
        other = concealer.copy()
        other.foresee(speech[at + gap :][:behind], gap)
        made = [resample(each.conceal(gap), sample_rate, 16_000)[800:] for each in (concealer, other)]
        truth = log_spectra(resample(lost, sample_rate, 16_000)[800:])
        distances.append([np.abs(log_spectra(each) - truth).mean() for each in made])
    alone, foreseen = np.mean(distances, axis=0)
    assert len(distances) > 8
    assert foreseen < 0.9 * alone


def test_what_is_foreseen_holds_where_a_gap_ends(speech_16k):
    """What a gap's coder looks ahead to is as loud as what follows: it fell by 14 dB where it was let go."""
    gap, behind, ahead = 640, 960, 320
    concealer = Concealer(*(Model(str(MODELS / f"{name}.vvm")) for name in (PREDICTOR, VOCODER)))
    levels = []
    for at in range(16_000, len(speech_16k) - gap - behind, 4_000):
        truth = speech_16k[at + gap :][:ahead]
        if (truth**2).mean() < 1e-4:
            continue
        concealer.reset()
        concealer.receive(speech_16k[:at])
        concealer.foresee(speech_16k[at + gap :][:behind], gap)
        concealer.conceal(gap)
        made = concealer.ahead(ahead)
        levels.append(10 * np.log10((made**2).mean() / (truth**2).mean()))
    assert len(levels) > 8
    assert abs(np.median(levels)) < 4


def test_models_are_named_and_those_of_other_systems_refused():
    assert NeuralConcealment(48_000).model_names == (PREDICTOR, VOCODER)
    assert create_concealer("neural:lpcnet", 48_000).model_names == (PREDICTOR, "lpcnet-base-v1")
    with pytest.raises(ModelError, match="must be of the system plc, got fargan"):
        NeuralConcealment(16_000, predictor=VOCODER)
    with pytest.raises(ModelError, match="no model of this name"):
        NeuralConcealment(16_000, vocoder="unheard-of")
    with pytest.raises(ValueError, match="sample_rate"):
        NeuralConcealment(44_100)
