"""The core's RDO-VAE against its definition."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from vivavoce._core import Model, RdoVaeNetwork, VocoderNetwork, int8_paths
from vivavoce.redundancy.entropy import CERTAIN
from vivavoce.redundancy.image import quantiser_tables, rdovae_image
from vivavoce.redundancy.rdovae import CHUNK, SIZES, STRIDE, RdoVae
from vivavoce.signal.cepstrum import FEATURES
from vivavoce.training.image import HEADER, TENSOR, checksum

METADATA = {"system": "rdovae", "name": "rdovae-test", "sample_rate": "16000", "model_id": "5"}
STEPS = 60


@pytest.fixture(scope="module", params=["tiny", "base"])
def network(request):
    """Two numbers of a latent vector and one of a state are always 0."""
    torch.manual_seed(0)
    network = RdoVae(SIZES[request.param]).eval()
    with torch.no_grad():
        for quantiser, dead in ((network.latent_quantiser, [3, 7]), (network.state_quantiser, [0])):
            quantiser.decay += 0.1 * torch.randn_like(quantiser.decay)
            quantiser.decay[:, dead] = -1.2
            quantiser.zero[:, dead] = 1.2
    return network


@pytest.fixture(scope="module")
def arrays(network):
    return {name: weight.numpy() for name, weight in network.state_dict().items()}


@pytest.fixture(scope="module")
def model(arrays):
    return Model.from_bytes(rdovae_image(arrays, METADATA))


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(2).normal(0, 0.7, (STEPS, STRIDE * FEATURES)).astype(np.float32)


def kept(arrays, name):
    return quantiser_tables(arrays, f"{name}_quantiser").kept


@torch.no_grad()
def test_the_encoder_says_what_the_definition_says(network, arrays, model, features):
    want = [part[0].numpy() for part in network.encoder(torch.from_numpy(features.reshape(1, -1, FEATURES)))]
    got = RdoVaeNetwork(model).encode(features)
    for one, other, name in zip(got, want, ("latent", "state"), strict=True):
        assert one.shape == (STEPS, len(kept(arrays, name)))
        assert len(kept(arrays, name)) < other.shape[1]
        assert np.abs(one - other[:, kept(arrays, name)]).max() < 0.05


@pytest.mark.parametrize("level", [0, 6, 15])
@torch.no_grad()
def test_it_rounds_and_decodes_as_the_definition_does(network, arrays, model, level):
    random = torch.Generator().manual_seed(level)
    latents, state = torch.randn(1, 12, network.size.latent, generator=random), torch.randn(1, network.size.state)
    levels = torch.full((1, 12), level)
    whole = torch.tensor(True)
    for values, name in ((latents, "latent"), (state, "state")):
        dead = np.setdiff1d(np.arange(values.shape[-1]), kept(arrays, name))
        values[..., dead] = 0
    decoded = network.latent_quantiser(latents, levels, whole)[0]
    begin = network.state_quantiser(state, levels[:, 0], whole)[0]
    want = network.decoder(decoded, begin, levels)[0].numpy()

    core = RdoVaeNetwork(model)
    sent = core.round_latents(latents[0].numpy()[:, kept(arrays, "latent")], level)
    sent_state = core.round_states(state.numpy()[:, kept(arrays, "state")], level)
    numbers = network.latent_quantiser.at(levels[0])
    steps = torch.round(numbers.steps(latents[0])).numpy()[:, kept(arrays, "latent")]
    tables = quantiser_tables(arrays, "latent_quantiser")
    steps[:, tables.zero[level] == CERTAIN] = 0
    assert (sent != steps.clip(-63, 63)).mean() < 0.02
    assert np.abs(sent - steps.clip(-63, 63)).max() <= 1
    got = core.decode(sent_state, sent, [level] * 12)
    assert got.shape == (12, CHUNK * FEATURES)
    assert np.abs(got.reshape(want.shape) - want).max() < 0.1


def test_a_part_is_decoded_as_in_the_whole(model, features):
    core = RdoVaeNetwork(model)
    latents, states = core.encode(features)
    sent, state = core.round_latents(latents[::-2].copy(), 4), core.round_states(states[-1:], 4)
    whole = core.decode(state, sent, [4] * len(sent))
    assert (core.decode(state, sent[:5], [4] * 5) == whole[:5]).all()
    assert core.decode(state, sent[:0], []).shape == (0, CHUNK * FEATURES)


def test_every_path_gives_the_same_bits(model, features):
    results = []
    for path in int8_paths():
        core = RdoVaeNetwork(model, path)
        latents, states = core.encode(features)
        sent, state = core.round_latents(latents[::-2].copy(), 2), core.round_states(states[-1:], 2)
        results.append((latents, states, core.decode(state, sent, [2] * len(sent))))
    for other in results[1:]:
        assert all((one == two).all() for one, two in zip(other, results[0], strict=True))


def test_a_copy_goes_on_alike_and_a_reset_begins_anew(model, features):
    core = RdoVaeNetwork(model)
    whole = core.encode(features)[0]
    core.reset()
    core.encode(features[:10])
    other = core.copy()
    assert (core.encode(features[10:])[0] == whole[10:]).all()
    assert (other.encode(features[10:])[0] == whole[10:]).all()


def test_no_input_harms_it(model, features):
    random = np.random.default_rng(1)
    hostile = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, 0, 1], np.float32), (100, STRIDE * FEATURES))
    core = RdoVaeNetwork(model)
    for part in core.encode(hostile):
        assert np.isfinite(part).all()
    latents, states = core.encode(features)
    wild = np.full_like(latents, np.nan)
    assert np.abs(core.round_latents(wild, 0).astype(int)).max() <= 63
    state = np.full((1, states.shape[1]), 127, np.int8)
    decoded = core.decode(state, np.full((26, latents.shape[1]), -127, np.int8), [15] * 26)
    assert np.isfinite(decoded).all()


def test_what_does_not_go_together_is_refused(model, features):
    core = RdoVaeNetwork(model)
    latents, states = core.encode(features)
    sent, state = core.round_latents(latents, 0), core.round_states(states[:1], 0)
    short_state, short = state[:, 1:].copy(), sent[:, 1:].copy()
    for bad in ((state, sent, [0] * 3), (short_state, sent, [0] * STEPS), (state, short, [0] * STEPS)):
        with pytest.raises(ValueError, match="go together"):
            core.decode(*bad)
    for level in (-1, 16):
        with pytest.raises(ValueError, match="level must be from 0 to 15"):
            core.round_latents(latents, level)
        with pytest.raises(ValueError, match="level must be from 0 to 15"):
            core.decode(state, sent, [level] * STEPS)
    with pytest.raises(ValueError, match="vocoder"):
        VocoderNetwork(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"system": "plc"}, "rdovae", id="system"),
        pytest.param({"model_id": "32"}, "model_id", id="identifier"),
        pytest.param({"name": "x" * 32}, "name", id="name"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(arrays, change, message):
    with pytest.raises(ValueError, match=message):
        rdovae_image(arrays, {**METADATA, **change})


def test_arrays_that_do_not_fit_are_refused(arrays):
    for name in arrays:
        with pytest.raises(ValueError, match=r".+"):
            rdovae_image({key: array for key, array in arrays.items() if key != name}, METADATA)
    dead = {**arrays, "latent_quantiser.decay": np.full_like(arrays["latent_quantiser.decay"], -20)}
    with pytest.raises(ValueError, match="sends nothing"):
        rdovae_image(dead, METADATA)


def tiny_image():
    torch.manual_seed(0)
    network = RdoVae(SIZES["tiny"])
    return rdovae_image({name: weight.numpy() for name, weight in network.state_dict().items()}, METADATA)


IMAGE = tiny_image()
TABLE = TENSOR.unpack_from(IMAGE, HEADER.size)  # of latent vectors: 64 rows of whole numbers
TENSORS = 55


def sealed(image):
    return bytes(image[:8]) + struct.pack("<Q", checksum(bytes(image))) + bytes(image[16:])


def changed(offset, value):
    image = bytearray(IMAGE)
    struct.pack_into("<I", image, offset, value & 0xFFFFFFFF)
    return sealed(image)


def number(part, value):
    """The first number of the finest level: of scales, dead zones, zeros or mores."""
    return changed(TABLE[4] + 4 * 16 * part * TABLE[2], value)


DIMENSIONS = 72  # where the header has them


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(lambda: number(0, 0), id="no scale"),
        pytest.param(lambda: number(0, -5), id="negative scale"),
        pytest.param(lambda: number(1, -1), id="negative dead zone"),
        pytest.param(lambda: number(2, 0), id="never 0"),
        pytest.param(lambda: number(2, CERTAIN + 1), id="more than certainly 0"),
        pytest.param(lambda: number(3, 0), id="never more"),
        pytest.param(lambda: number(3, CERTAIN), id="always more"),
        pytest.param(lambda: changed(DIMENSIONS, 32), id="another width of the encoder"),
        pytest.param(lambda: changed(DIMENSIONS, 256), id="an encoder that is too wide"),
        pytest.param(lambda: changed(DIMENSIONS + 4, 48), id="an odd width of the decoder"),
        pytest.param(lambda: changed(DIMENSIONS + 8, 0), id="no latent vector"),
        pytest.param(lambda: changed(DIMENSIONS + 12, 129), id="a state that is too long"),
        pytest.param(lambda: changed(DIMENSIONS + 16, 32), id="identifier"),
        pytest.param(lambda: changed(DIMENSIONS + 20, 1), id="a dimension that there is not"),
        pytest.param(lambda: changed(HEADER.size + 4, 2**14), id="more rows than there are bytes"),
        pytest.param(lambda: changed(HEADER.size + 24, 128), id="a bias of whole numbers"),
        pytest.param(lambda: changed(HEADER.size, 1), id="float where there must be whole numbers"),
    ],
)
def test_images_of_no_such_model_are_refused(image):
    with pytest.raises(ValueError, match="no model image of this version, or damaged"):
        Model.from_bytes(image())
    assert Model.from_bytes(number(2, CERTAIN)).name == "rdovae-test"


@given(st.data())
def test_changes_with_a_right_checksum_are_refused_or_harmless(data):
    image = bytearray(IMAGE)
    for _ in range(data.draw(st.integers(1, 3))):
        offset = 4 * data.draw(st.integers(0, (HEADER.size + TENSORS * TENSOR.size) // 4 - 1))
        struct.pack_into("<I", image, offset, data.draw(st.integers(0, 2**32 - 1) | st.integers(0, 4096)))
    try:
        model = Model.from_bytes(sealed(image))
    except ValueError:
        return
    if model.system == "rdovae":
        latents, _ = RdoVaeNetwork(model).encode(np.zeros((2, 40), np.float32))
        assert np.isfinite(latents).all()
