"""The predictor of lost features: what it sees, what it is judged by, and the core's against its definition."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from vivavoce._core import Model, PredictorNetwork, VocoderNetwork, int8_paths
from vivavoce.concealment.features import FORESEEN, INPUTS, KNOWN, LOST, RECEIVED, TOLD, predictor_inputs
from vivavoce.concealment.image import predictor_image
from vivavoce.concealment.loss import adversarial_loss, prediction_loss
from vivavoce.concealment.model import SIZES, AdversarialPredictor, FeaturePredictor
from vivavoce.concealment.train import GAP, HEARD, context_of_loss, cut, gap_weights, read_traces
from vivavoce.signal.burg import BURG_FEATURES
from vivavoce.signal.cepstrum import FEATURES, PITCH, VOICING

METADATA = {"system": "plc", "name": "plc-test", "sample_rate": "16000"}


def inputs_of(frames, seed=0):
    random = np.random.default_rng(seed)
    known = random.choice([RECEIVED, RECEIVED, LOST, TOLD], frames)
    burg, features = random.normal(0, 1, (frames, BURG_FEATURES)), random.normal(0, 1, (frames, FEATURES))
    return predictor_inputs(burg, features, known).astype(np.float32)


@pytest.fixture(scope="module", params=["tiny", "base"])
def network(request):
    torch.manual_seed(0)
    return FeaturePredictor(SIZES[request.param])


def arrays_of(network):
    return {name: weight.numpy() for name, weight in network.state_dict().items()}


@pytest.fixture(scope="module")
def model(network):
    return Model.from_bytes(predictor_image(arrays_of(network), METADATA))


def test_what_is_not_known_is_not_seen():
    inputs = predictor_inputs(np.ones((3, BURG_FEATURES)), np.ones((3, FEATURES)), np.array([RECEIVED, LOST, TOLD]))
    assert inputs.shape == (3, INPUTS)
    assert inputs[0].tolist() == [1] * FORESEEN + [0] * (INPUTS - FORESEEN)
    assert inputs[1].tolist() == [0] * INPUTS
    assert inputs[2].tolist() == [0] * BURG_FEATURES + [1] * FEATURES + [-1] + [0] * (INPUTS - FORESEEN)


def test_the_end_of_a_gap_is_seen_where_it_is_known():
    burg, features, known = np.ones((3, BURG_FEATURES)), np.ones((3, FEATURES)), np.full(3, LOST)
    inputs = predictor_inputs(burg, features, known, np.full(FEATURES, 2.0), np.array([0, 4, 1]))
    assert inputs[0].tolist() == [0] * INPUTS
    assert inputs[1].tolist() == [0] * FORESEEN + [2] * FEATURES + [0.25]
    assert inputs[2].tolist() == [0] * FORESEEN + [2] * FEATURES + [1]


def test_the_core_says_what_the_definition_says(network, model):
    inputs = inputs_of(100)
    with torch.no_grad():
        want = network(torch.from_numpy(inputs[None]))[0].numpy()
    got = PredictorNetwork(model).run(inputs)
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 0.05


def test_every_path_gives_the_same_bits(model):
    inputs = inputs_of(60)
    results = [PredictorNetwork(model, path).run(inputs) for path in int8_paths()]
    for other in results[1:]:
        assert (other == results[0]).all()


def test_a_copy_goes_on_alike_and_a_reset_begins_anew(model):
    inputs = inputs_of(40)
    predictor = PredictorNetwork(model)
    whole = predictor.run(inputs)
    predictor.reset()
    predictor.run(inputs[:10])
    other = predictor.copy()
    assert (predictor.run(inputs[10:]) == whole[10:]).all()
    assert (other.run(inputs[10:]) == whole[10:]).all()


def test_no_input_harms_it(model):
    random = np.random.default_rng(1)
    hostile = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, 0, 1], np.float32), (200, INPUTS))
    predictor = PredictorNetwork(model)
    assert np.isfinite(predictor.run(hostile)).all()
    assert np.isfinite(predictor.run(inputs_of(50))).all()


def test_models_of_other_systems_and_bad_shapes_are_refused(model):
    with pytest.raises(ValueError, match="must be a vocoder"):
        VocoderNetwork(model)
    with pytest.raises(ValueError, match=r"\(frames, 78\)"):
        PredictorNetwork(model).run(np.zeros((2, 20), np.float32))


@pytest.mark.parametrize("name", ["dense.weight", "gru2.weight_hh_l0", "output.weight", "output.bias"])
def test_a_checkpoint_that_lacks_something_is_refused(network, name):
    arrays = arrays_of(network)
    del arrays[name]
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        predictor_image(arrays, METADATA)


def features_like(value=0.0):
    features = torch.zeros(1, 4, FEATURES)
    features[..., VOICING] = value
    return features


def test_the_loss_counts_lost_frames_alone():
    features, lost = features_like(), torch.tensor([[0.0, 1, 0, 0]])
    predicted = features.clone()
    predicted[:, [0, 2, 3]] += 5
    assert float(prediction_loss(predicted, features, lost)[0]) == 0
    predicted[:, 1, 3] += 1
    assert float(prediction_loss(predicted, features, lost)[0]) > 0
    assert float(prediction_loss(predicted, features, torch.zeros(1, 4))[0]) == 0


def test_too_much_energy_is_worse_than_too_little():
    features, lost = features_like(), torch.ones(1, 4)
    loud, quiet = features.clone(), features.clone()
    loud[..., 0] += 1
    quiet[..., 0] -= 1
    assert float(prediction_loss(loud, features, lost)[0]) > float(prediction_loss(quiet, features, lost)[0])


def test_pitch_counts_where_there_is_voice_and_no_more_than_an_octave():
    lost = torch.ones(1, 4)

    def loss(voicing, octaves):
        features = features_like(voicing)
        predicted = features.clone()
        predicted[..., PITCH] += octaves
        return float(prediction_loss(predicted, features, lost)[0])

    assert loss(-0.5, 0.3) == 0
    assert loss(0.5, 0.3) > loss(0.0, 0.3) > 0
    assert loss(0.5, 1) == loss(0.5, 2) > loss(0.5, 0.5)


def test_what_precedes_a_gap_is_what_the_traces_have_there():
    trace = np.zeros(200, bool)
    trace[[50, 96, 99, 100]] = True  # runs of one, one and two packets
    known = context_of_loss([trace], np.random.default_rng(2), 400)
    assert known.shape == (400, HEARD)
    packets = known[(known != TOLD).all(axis=1), ::2]
    assert {tuple(np.flatnonzero(row == LOST)) for row in packets} == {(), (5,)}  # 96 lies three packets before 99
    told = (known == TOLD).any(axis=1)
    assert 0.05 < told.mean() < 0.3
    assert (known[told, -1] == TOLD).all()


def test_frames_of_a_gap_count_as_often_as_gaps_get_so_far():
    trace = np.zeros(100, bool)
    trace[[10, 20, 30, 31]] = True
    trace[60:90] = True
    weights = gap_weights([trace, np.array([True])])
    assert weights.shape == (GAP,)
    assert weights == pytest.approx([1, 1, 0.4, 0.4, *[0.2] * 16])


def test_gaps_are_cut_out_of_items():
    traces = [np.array([False, True, True])]
    burg = np.ones((8, 100, BURG_FEATURES), np.float32)
    features = np.tile(np.arange(100, dtype=np.float32)[:, None], (8, 1, FEATURES))
    gaps = cut({"burg": burg, "features": features}, traces, np.random.default_rng(3))
    assert gaps["inputs"].shape == (8, HEARD + GAP, INPUTS)
    assert (np.diff(gaps["features"], axis=1) == 1).all()
    assert (gaps["inputs"][:, HEARD:, :FORESEEN] == 0).all()
    ahead = gaps["inputs"][:, :, -1]
    assert (ahead[:, :HEARD] == 0).all()
    foreseen = np.flatnonzero(ahead[:, HEARD])
    assert 0 < len(foreseen) < 8
    for row in foreseen:
        # features here count frames: what is told is that of the frame that is so far ahead
        for frame in np.flatnonzero(ahead[row]):
            behind = gaps["features"][row, frame] + 1 / ahead[row, frame]
            np.testing.assert_allclose(gaps["inputs"][row, frame, FORESEEN:-1], behind, rtol=1e-5)
        assert (gaps["lost"][row] == (ahead[row] > 0)).all()
    assert (gaps["inputs"][:, HEARD - 2 : HEARD, KNOWN] != LOST).all()
    others = np.setdiff1d(np.arange(8), foreseen)
    assert ((gaps["lost"][others] > 0) == (np.arange(HEARD + GAP) >= HEARD)).all()


def test_the_adversary_and_the_predictor_learn_from_their_own_losses_alone():
    torch.manual_seed(0)
    model = AdversarialPredictor(FeaturePredictor(SIZES["tiny"]))
    inputs, features = torch.randn(2, 12, INPUTS), torch.randn(2, 12, FEATURES)
    lost = (torch.arange(12) >= 6).expand(2, -1)

    def touched(loss):
        model.zero_grad()
        loss.backward()
        moved = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
        return {name.split(".")[0] for name in moved}

    judged = model(inputs, features, lost)
    assert touched(judged.fooled.sum()) == {"predictor"}
    judged = model(inputs, features, lost)
    assert touched(judged.made.sum() + judged.true.sum()) == {"discriminator"}
    assert torch.equal(judged.fooled, judged.made)


def test_an_adversary_tells_what_is_always_the_same_from_speech():
    """Forty steps on random features and a predictor that says one thing."""
    torch.manual_seed(0)
    model = AdversarialPredictor(FeaturePredictor(SIZES["tiny"]))
    optimizer = torch.optim.AdamW(model.discriminator.parameters(), 3e-3)
    lost = torch.ones(8, 12)
    for _ in range(40):
        judged = model(torch.zeros(8, 12, INPUTS), torch.randn(8, 12, FEATURES), lost > 0)
        loss, terms = adversarial_loss(judged.fooled, judged.made, judged.true, lost)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(terms["telling"]) < 0.1
    assert float(terms["fooling"]) > 0.8


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="none"),
        pytest.param("0\n2\n", id="no bits"),
        pytest.param("0\n0\n", id="no loss"),
        pytest.param("", id="empty"),
    ],
)
def test_traces_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "loss").mkdir()
    if text is not None:
        (tmp_path / "loss/one.txt").write_text(text)
    with pytest.raises(ValueError, match="traces of 0 and 1"):
        read_traces(tmp_path)
