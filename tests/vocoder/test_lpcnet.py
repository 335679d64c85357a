"""LPCNet: what it learns from, and the core's engine, held to its definition and safe from every feature vector."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from corpora import voice
from vivavoce._core import Model, VocoderNetwork, speech_features
from vivavoce.signal.cepstrum import FEATURES, HOP, LPC_ORDER, preemphasise
from vivavoce.vocoder.frames import MARGIN, MEMORY, MIN_LEVEL, SUBFRAME, periods_of, subframe_periods
from vivavoce.vocoder.lpcnet import (
    CODES,
    MAX_EXCITATION,
    MAX_SIGNAL,
    SIZES,
    ZERO,
    Lpcnet,
    bits_of,
    code_of,
    companded,
    path_of,
    sampled,
    value_of,
)
from vivavoce.vocoder.lpcnet_image import lpcnet_image
from vivavoce.vocoder.lpcnet_train import loss_of
from vivavoce.vocoder.sequences import ItemMaker, cut, subframe_predictions

METADATA = {"system": "lpcnet", "name": "lpcnet-test", "sample_rate": "16000"}


@pytest.fixture(scope="module", params=["tiny", "base"])
def network(request):
    torch.manual_seed(0)
    return Lpcnet(SIZES[request.param])


@pytest.fixture(scope="module")
def sure(network):
    """The same, so sure of each bit that it draws nothing."""
    other = Lpcnet(network.size)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        for neuron in (other.first, other.second):
            neuron.weight[:, -1] = 1e5 * (1 + torch.rand(CODES))
    return other


def model_of(network):
    return Model.from_bytes(lpcnet_image({name: w.numpy() for name, w in network.state_dict().items()}, METADATA))


@pytest.mark.parametrize("limit", [MAX_EXCITATION, MAX_SIGNAL])
def test_codes_tell_values_in_proportion(limit):
    codes = torch.arange(1, CODES)
    assert code_of(value_of(codes, limit), limit).tolist() == codes.tolist()
    assert value_of(torch.tensor([ZERO, CODES - 1, 1, 0]), limit).numpy() == pytest.approx([0, limit, -limit, -limit])
    assert code_of(torch.tensor([0.0, 1e9, -1e9]), limit).tolist() == [ZERO, CODES - 1, 1]
    values = torch.linspace(1, limit, 1_000)
    error = (value_of(code_of(values, limit), limit) / values - 1).abs().max()
    assert error < 0.05


def test_a_path_leads_from_the_root_to_its_code():
    codes = torch.arange(CODES)
    nodes, bits = path_of(codes), bits_of(codes)
    assert set(nodes[:, 0].tolist()) == {1}
    assert torch.equal(nodes[:, 1:], 2 * nodes[:, :-1] + bits[:, :-1])
    assert torch.equal(2 * nodes[:, -1] + bits[:, -1] - CODES, codes)
    assert len({tuple(path) for path in torch.cat([nodes, bits], 1).tolist()}) == CODES


@pytest.fixture
def sequence():
    class Speech:
        def speech(self, index):
            return voice(np.random.default_rng(index), 1.0, 16_000)

    items = {name: np.stack(2 * [array]) for name, array in ItemMaker(Speech())(0).items()}
    return {name: torch.from_numpy(array) for name, array in cut(items, 10, np.random.default_rng(0)).items()}


def heard_of(sequence):
    told = [sequence[name] for name in ("features", "predictions", "levels", "samples", "samples_before", "past")]
    return sampled(*told, torch.zeros_like(sequence["samples"]))


def test_without_noise_the_codes_are_those_of_the_excitation(sequence):
    heard = heard_of(sequence)
    level = MIN_LEVEL + sequence["levels"].flatten(1).repeat_interleave(SUBFRAME, 1)
    excitation = (sequence["excitation"] / level).t()
    assert (value_of(heard.target, MAX_EXCITATION) - excitation).abs().max() < 0.03 * MAX_EXCITATION
    assert heard.target.float().std() > 10
    # within a sub-frame, what is left of a sample is told with the next
    within = torch.arange(len(heard.target) - 1) % SUBFRAME != SUBFRAME - 1
    assert torch.equal(heard.excitation[1:][within], heard.target[:-1][within])


def test_what_was_left_one_period_ago_is_told(sequence):
    heard = heard_of(sequence)
    periods = subframe_periods(periods_of(sequence["features"])).flatten(1).repeat_interleave(SUBFRAME, 1)
    level = MIN_LEVEL + sequence["levels"].flatten(1).repeat_interleave(SUBFRAME, 1)
    excitation = torch.cat([sequence["past"], sequence["excitation"]], 1)
    for at in (0, 39, 700):
        start = int(MEMORY + at - periods[1, at])
        want = companded(excitation[1, start - MARGIN : start + MARGIN + 1] / level[1, at], MAX_EXCITATION)
        assert heard.repeated[at, 1].numpy() == pytest.approx(want.numpy(), abs=1e-3)


def test_a_sample_depends_on_those_before_it_alone(network, sequence):
    heard = heard_of(sequence)
    at = 700
    with torch.no_grad():
        want = network(heard)
        changed = {name: getattr(heard, name).clone() for name in ("signal", "prediction", "excitation")}
        for codes in changed.values():
            codes[at:] = 3
        other = network(replace(heard, **changed))
    assert torch.equal(other[:at], want[:at])
    assert not torch.equal(other[at:], want[at:])


def test_it_learns_a_voice(sequence):
    torch.manual_seed(1)
    model = Lpcnet(SIZES["tiny"])
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss, _ = loss_of(model, sequence)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 7
    assert losses[-1] < losses[0] - 1.0


def greedy(network, features, predictions, levels, samples, begin, count):
    """What a network makes that is sure of itself: sample by sample, from `begin` on, known before."""
    made = samples[:begin].tolist()
    condition = network.conditions(torch.from_numpy(features[None]))[0].flatten(0, 1)
    periods = subframe_periods(periods_of(torch.from_numpy(features))).flatten()
    filters, levels = predictions.reshape(-1, LPC_ORDER), levels.reshape(-1) + np.float32(MIN_LEVEL)
    first = second = None
    left = np.zeros(begin + count)

    def prediction_of(at):
        return float(np.dot(filters[at // SUBFRAME], np.array(made[at - LPC_ORDER : at][::-1])))

    for at in range(LPC_ORDER, 2 * HOP):
        left[at] = made[at] - prediction_of(at)
    for at in range(2 * HOP, begin + count):  # the memories are empty where the first frame is followed
        subframe, prediction = at // SUBFRAME, prediction_of(at)
        over_level = torch.tensor([made[at - 1], prediction, left[at - 1]]).float() / levels[subframe]
        codes = [code_of(over_level[i], limit) for i, limit in enumerate((MAX_SIGNAL, MAX_SIGNAL, MAX_EXCITATION))]
        embedded = [network.signal(codes[0]), network.prediction(codes[1]), network.excitation(codes[2])]
        start = at - int(periods[subframe])
        repeated = torch.from_numpy(left[start - MARGIN : start + MARGIN + 1]).float() / levels[subframe]
        told = torch.cat([*embedded, companded(repeated, MAX_EXCITATION), condition[subframe]])
        hidden, first = network.gru_a(told[None], first)
        told, second = network.gru_b(torch.cat([hidden[0], condition[subframe]])[None], second)
        if at >= begin:
            node = 1
            for _ in range(8):
                node = 2 * node + int(network.bits(told[0], torch.tensor([node]))[0] > 0)
            made.append(prediction + float(value_of(torch.tensor(node - CODES), MAX_EXCITATION)) * levels[subframe])
        left[at] = made[at] - prediction
    return np.array(made[begin:])


def test_the_core_says_what_the_definition_says(sure):
    """Until int8's rounding of the conditioning vector tips the first bit: most of the first 5 ms."""
    speech = voice(np.random.default_rng(1), 0.3, 16_000)
    features = speech_features(speech, 30)
    begin = 8  # two frames are heard, one followed, the others made
    core = VocoderNetwork(model_of(sure))
    core.begin(speech[begin * HOP - 17 : begin * HOP])
    core.feed(features[begin : begin + 1])
    core.hear(features[begin + 1 : begin + 3], speech[begin * HOP : (begin + 2) * HOP])
    core.follow(features[begin + 3 : begin + 4], speech[(begin + 2) * HOP : (begin + 3) * HOP])
    made = preemphasise(core.synthesise(features[begin + 4 : begin + 5]).astype(np.float64))
    made[0] -= 0.85 * speech[(begin + 3) * HOP - 1]

    predictions, levels = subframe_predictions(features)
    sharp = preemphasise(speech.astype(np.float64)).astype(np.float32)
    told = features[begin - 1 : begin + 6], predictions[begin : begin + 5], levels[begin : begin + 5]
    with torch.no_grad():
        want = greedy(sure, *told, sharp[begin * HOP :], 3 * HOP, 80)
    assert np.abs(want).max() > 1e-3
    equal = np.abs(made[:80] - want) < 1e-3 * np.abs(want).max()
    assert equal[:20].all()
    assert equal.mean() > 0.3


def test_a_copy_goes_on_alike_and_a_reset_begins_anew(network):
    features = speech_features(voice(np.random.default_rng(2), 0.5, 16_000), 30)
    vocoder = VocoderNetwork(model_of(network))
    whole = vocoder.synthesise(features)
    vocoder.reset()
    vocoder.synthesise(features[:10])
    other = vocoder.copy()
    assert (vocoder.synthesise(features[10:]) == whole[10 * HOP :]).all()
    other.synthesise(features[10:15])
    assert (other.synthesise(features[15:]) == whole[15 * HOP :]).all()


def test_no_features_harm_it(network):
    random = np.random.default_rng(2)
    hostile = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0, 1, 30], np.float32), (60, FEATURES))
    vocoder = VocoderNetwork(model_of(network))
    vocoder.begin(random.choice(np.array([np.nan, np.inf, 1e38, 1], np.float32), 17))
    made = vocoder.synthesise(hostile)
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1


@pytest.mark.parametrize("name", ["signal.weight", "gru_b.weight_hh_l0", "second.weight", "dense.bias"])
def test_a_checkpoint_that_lacks_something_is_refused(network, name):
    arrays = {key: w.numpy() for key, w in network.state_dict().items() if key != name}
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        lpcnet_image(arrays, METADATA)


def test_metadata_of_another_system_is_refused(network):
    with pytest.raises(ValueError, match="lpcnet"):
        lpcnet_image({}, {**METADATA, "system": "fargan"})
