"""The core's PercepNet against its formulas in NumPy: the rounded network to the bit, the other nearly."""

import copy
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from checkpoints import METADATA, TINY, random_checkpoint, random_features
from vivavoce._core import Model, PercepNetNetwork, int8_paths, tanh
from vivavoce.enhancement.image import model_image
from vivavoce.training.image import checksum, quantise

SMALL = (128, 224, 224, 96)
SIZES = [pytest.param(TINY, id="tiny"), pytest.param((16, 16, 16, 16), id="least"), pytest.param(SMALL, id="small")]
PATHS = int8_paths()


class Reference:
    """The network of `vivavoce.enhancement.model`: in double precision, or rounded as the core rounds it."""

    def __init__(self, arrays, *, rounded):
        self.rounded = rounded
        self.arrays = dict(arrays)
        for name, array in arrays.items():
            if array.ndim == 3:  # frames side by side, oldest first
                self.arrays[name] = array.transpose(0, 2, 1).reshape(len(array), -1)

    def tanh(self, x):
        return tanh(x) if self.rounded else np.tanh(x)

    def sigmoid(self, x):
        half = np.float32(0.5)
        return half + half * self.tanh(half * x)

    def dense(self, x):
        weights, sums = self.arrays["input.weight"], self.arrays["input.bias"]
        for column, value in zip(weights.T, x, strict=True):  # in this order
            sums = sums + column * value
        return self.tanh(sums)

    def linear(self, name, x, suffix=""):
        weights, bias = self.arrays[f"{name}.weight{suffix}"], self.arrays[f"{name}.bias{suffix}"]
        if not self.rounded:
            return weights @ x + bias
        integers, scale = quantise(weights)
        sums = integers.astype(np.int32) @ np.rint(x * np.float32(127)).astype(np.int32)
        return sums.astype(np.float32) * (scale / np.float32(127)) + bias

    def gru(self, name, x, h):
        (ir, iz, inn), (hr, hz, hn) = (np.split(self.linear(name, v, s), 3) for v, s in ((x, "_ih"), (h, "_hh")))
        r, z = self.sigmoid(ir + hr), self.sigmoid(iz + hz)
        return (1 - z) * self.tanh(inn + r * hn) + z * h

    def run(self, features):
        dtype = np.float32 if self.rounded else np.float64
        dense, conv = (len(self.arrays[f"{name}.bias"]) for name in ("input", "conv1"))
        a, c = [np.zeros(dense, dtype)] * 5, [np.zeros(conv, dtype)] * 3
        g = [np.zeros(self.arrays["gru1.weight_hh"].shape[1], dtype)] * 4
        strengths = np.zeros(self.arrays["strengths_gru.weight_hh"].shape[1], dtype)
        outputs = []
        for x in features.astype(dtype):
            a = [*a[1:], self.dense(x)]
            c = [*c[1:], self.tanh(self.linear("conv1", np.concatenate(a)))]
            joined = [self.tanh(self.linear("conv2", np.concatenate(c)))]
            for i, name in enumerate(("gru1", "gru2", "gru3", "gains_gru")):
                g[i] = self.gru(name, joined[-1], g[i])
                joined.append(g[i])
            strengths = self.gru("strengths_gru", np.concatenate([g[2], joined[0]]), strengths)
            gains = self.sigmoid(self.linear("gains", np.concatenate(joined)))
            outputs.append((gains[:34], self.sigmoid(self.linear("strengths", strengths)), gains[34]))
        return [np.array(column) for column in zip(*outputs, strict=True)]


def network(sizes=TINY, path=None, **options):
    return PercepNetNetwork(Model.from_bytes(model_image(random_checkpoint(sizes, **options), METADATA)), path)


@pytest.mark.parametrize("zero_blocks", [0.0, 0.5])
@pytest.mark.parametrize("sizes", SIZES)
def test_it_is_the_rounded_network_to_the_bit(sizes, zero_blocks):
    """The reference knows nothing of blocks: a sparse network is the dense one with zeros."""
    features = random_features(50)
    want = Reference(random_checkpoint(sizes, zero_blocks=zero_blocks), rounded=True).run(features)
    for mine, theirs in zip(network(sizes, zero_blocks=zero_blocks).run(features), want, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("sizes", SIZES)
def test_rounding_costs_little(sizes):
    features = random_features(50)
    want = Reference(random_checkpoint(sizes), rounded=False).run(features)
    for mine, theirs in zip(network(sizes).run(features), want, strict=True):
        assert np.std(theirs) > 0.05  # there is something to lose
        assert np.sqrt(np.mean((mine - theirs) ** 2)) < 0.02


@pytest.mark.parametrize("zero_blocks", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("sizes", SIZES)
def test_every_path_gives_the_same_bits(sizes, zero_blocks):
    features = random_features(20)
    results = [network(sizes, path, zero_blocks=zero_blocks).run(features) for path in [None, *PATHS]]
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_portable_paths_are_always_there():
    assert PATHS[:2] == ["scalar", "vector"]
    assert network().path == PATHS[-1]
    with pytest.raises(ValueError, match=r"int8_paths\(\), got mmx"):
        network(path="mmx")


def test_step_is_run_frame_by_frame():
    features, stream = random_features(30), network()
    gains, strengths, voice = network().run(features)
    for i, frame in enumerate(features):
        step = stream.step(frame)
        np.testing.assert_array_equal(step[0], gains[i])
        np.testing.assert_array_equal(step[1], strengths[i])
        assert step[2] == voice[i]


def test_a_copy_goes_on_as_the_stream_would():
    features, stream = random_features(40), network()
    stream.run(features[:20])
    twin = stream.copy()
    stream.run(random_features(7, seed=1))  # the copy does not notice
    first = twin.copy().run(features[20:])
    for mine, whole in zip(first, network().run(features), strict=True):
        np.testing.assert_array_equal(mine, whole[20:])


def test_reset_is_the_beginning():
    features, stream = random_features(20), network()
    first = copy.deepcopy(stream.run(features))
    stream.reset()
    for mine, theirs in zip(stream.run(features), first, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, -1e38, 1e-42], ids=str)
def test_it_recovers_from_any_features(value):
    features = random_features(700)
    features[3:5] = value
    with np.errstate(invalid="ignore"):
        features[10, ::3] *= value
    results, clean = network().run(features), network().run(random_features(700))
    for mine, theirs in zip(results, clean, strict=True):
        assert ((mine >= 0) & (mine <= 1)).all()
        assert np.abs(mine[-50:] - theirs[-50:]).max() < 0.05


@pytest.mark.parametrize("scale", [0.0, 1e6, -1e6], ids=str)
def test_the_largest_weights_stay_finite(scale):
    arrays = {name: np.full_like(array, scale) for name, array in random_checkpoint().items()}
    stream = PercepNetNetwork(Model.from_bytes(model_image(arrays, METADATA)))
    for column in stream.run(random_features(10)):
        assert ((column >= 0) & (column <= 1)).all()


def test_streams_in_threads_share_a_model():
    model = Model.from_bytes(model_image(random_checkpoint(SMALL), METADATA))

    def work(seed):
        return [column.tobytes() for column in PercepNetNetwork(model).run(random_features(50, seed))]

    alone = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == alone


def test_features_of_another_shape_are_refused():
    stream = network()
    for features, error, message in [
        (np.zeros(69, np.float32), ValueError, r"features must have shape \(70,\), got float32 of shape \(69,\)"),
        (np.zeros(70), TypeError, "features must be float32, got float64"),
    ]:
        with pytest.raises(error, match=message):
            stream.step(features)
    for features, error, message in [
        (np.zeros(70, np.float32), ValueError, r"\(frames, 70\), got float32 of shape \(70,\)"),
        (np.zeros((2, 71), np.float32), ValueError, r"got float32 of shape \(2, 71\)"),
        (np.zeros((2, 70), np.int16), TypeError, "features must be float32, got int16"),
    ]:
        with pytest.raises(error, match=message):
            stream.run(features)


def test_strided_features_are_those_that_they_show():
    features = random_features(40)
    for view in (features[::2], features[:, ::-1], features.T.copy().T, features[:0]):
        for mine, theirs in zip(network().run(view), network().run(np.ascontiguousarray(view)), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_extreme_weights_and_activations_are_exact_on_every_path():
    """All weights that an image may hold, and those at the end of their range against activations at theirs."""
    arrays = random_checkpoint()
    arrays["input.weight"][...] = np.where(arrays["input.weight"] > 0, 100, -100)
    arrays["gru1.weight_ih"][...] = np.sign(arrays["gru1.weight_ih"])
    image = bytearray(model_image(arrays, METADATA))
    offset = struct.unpack_from("<Q", image, 128 + 3 * 64 + 16)[0]  # weights of tensor 3, gru1's of its input
    image[offset : offset + 255] = bytes(i for i in range(256) if i != 128)  # -128 is none
    image[offset + 256 : offset + 512] = b"\x81\x7f" * 128
    image[8:16] = struct.pack("<Q", checksum(bytes(image)))
    model, features = Model.from_bytes(bytes(image)), random_features(20)
    results = [PercepNetNetwork(model, path).run(features) for path in PATHS]
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(one, other)
