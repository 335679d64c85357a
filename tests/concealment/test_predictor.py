"""The predictor of lost features: what it sees, what it is judged by, and the core's against its definition."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from vivavoce._core import FarganNetwork, Model, PredictorNetwork, int8_paths
from vivavoce.concealment.features import INPUTS, LOST, RECEIVED, TOLD, predictor_inputs
from vivavoce.concealment.image import predictor_image
from vivavoce.concealment.loss import prediction_loss
from vivavoce.concealment.model import SIZES, FeaturePredictor
from vivavoce.concealment.train import MAX_LOST, draw_gaps, read_traces
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
    assert inputs[0].tolist() == [1] * INPUTS
    assert inputs[1].tolist() == [0] * INPUTS
    assert inputs[2].tolist() == [0] * BURG_FEATURES + [1] * FEATURES + [-1]


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
    with pytest.raises(ValueError, match="must be a FARGAN"):
        FarganNetwork(model)
    with pytest.raises(ValueError, match=r"\(frames, 57\)"):
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


def test_gaps_follow_the_trace_and_end_where_nobody_can_guess():
    trace = np.zeros(200, bool)
    trace[50:100] = True
    random = np.random.default_rng(2)
    seen = set()
    for _ in range(200):
        known = draw_gaps([trace], 300, random)
        assert known.shape == (300,)
        seen |= set(known.tolist())
        edges = np.flatnonzero(np.diff(np.concatenate([[0], known == LOST, [0]])))
        assert all(end - start <= MAX_LOST for start, end in zip(edges[::2], edges[1::2], strict=True))
    assert seen == {RECEIVED, LOST, TOLD}
    assert (draw_gaps([np.zeros(5, bool)], 100, random) == RECEIVED).all()


@pytest.mark.parametrize(
    "text", [pytest.param(None, id="none"), pytest.param("0\n2\n", id="no bits"), pytest.param("", id="empty")]
)
def test_traces_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "loss").mkdir()
    if text is not None:
        (tmp_path / "loss/one.txt").write_text(text)
    with pytest.raises(ValueError, match="traces of 0 and 1"):
        read_traces(tmp_path)
