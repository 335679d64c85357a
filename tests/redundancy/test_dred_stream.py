"""Speech to payloads and back, in the core: against the reference, and whatever comes from the network."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from parser_limits import assert_cheap
from vivavoce._core import DredEncoder, DredReader, Model, RdoVaeNetwork, speech_features
from vivavoce.errors import PacketError
from vivavoce.redundancy.image import payload_model, rdovae_image
from vivavoce.redundancy.payload import MAX_CHUNKS, SLOPES, DredPayload, LevelSchedule, with_check
from vivavoce.redundancy.rdovae import SIZES, RdoVae

ID = 9
METADATA = {"system": "rdovae", "name": "rdovae-test", "sample_rate": "16000", "model_id": str(ID)}
HOPS = 130


@pytest.fixture(scope="module")
def arrays():
    torch.manual_seed(0)
    network = RdoVae(SIZES["tiny"])
    return {name: weight.numpy() for name, weight in network.state_dict().items()}


@pytest.fixture(scope="module")
def model(arrays):
    return Model.from_bytes(rdovae_image(arrays, METADATA))


@pytest.fixture(scope="module")
def reference(arrays):
    return payload_model(arrays, ID)


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(3)
    return (0.1 * random.normal(size=HOPS * 160) * np.repeat(random.random(HOPS), 160)).astype(np.float32)


@pytest.fixture(scope="module")
def encoder(model, samples):
    encoder = DredEncoder(model)
    encoder.push(samples)
    return encoder


@pytest.mark.parametrize(
    ("age", "schedule", "chunks"),
    [
        pytest.param(0, LevelSchedule(3), 1, id="one chunk"),
        pytest.param(1, LevelSchedule(0, SLOPES.index(8), 9), 26, id="a second"),
        pytest.param(60, LevelSchedule(15), 26, id="as far as was heard"),
    ],
)
def test_a_payload_is_what_the_reference_reads_and_writes(model, reference, samples, encoder, age, schedule, chunks):
    data = encoder.write(age, -6, schedule.first, schedule.slope, schedule.last, chunks)
    payload = DredPayload.parse(data, reference)
    assert payload.write(reference) == data
    assert (payload.offset, payload.levels) == (-6, schedule)
    assert len(payload.latents) == min(chunks, (HOPS // 2 - age) // 2)

    network = RdoVaeNetwork(model)
    latents, states = network.encode(speech_features(samples, HOPS).reshape(-1, 40))
    newest = HOPS // 2 - 1 - age
    assert payload.state == tuple(network.round_states(states[newest : newest + 1].copy(), schedule.first)[0])
    for chunk, latent in enumerate(payload.latents):
        row = latents[newest - 2 * chunk][None].copy()
        assert latent == tuple(network.round_latents(row, schedule.level(chunk))[0])

    reader = DredReader(model, data)
    assert (reader.offset, reader.chunks) == (-6, len(payload.latents))
    levels = [schedule.level(chunk) for chunk in range(reader.chunks)]
    assert [reader.level(chunk) for chunk in range(reader.chunks)] == levels
    vectors = [np.array(part, np.int8) for part in ([payload.state], payload.latents)]
    whole = network.decode(*vectors, levels)
    assert (np.stack([reader.features(chunk) for chunk in range(reader.chunks)]).reshape(whole.shape) == whole).all()
    last = DredReader(model, data).features(reader.chunks - 1)
    assert (last.reshape(-1) == whole[-1]).all()
    short = reader.shortened(3)
    assert short == payload.shortened(3).write(reference)
    assert (DredReader(model, short).features(0) == reader.features(0)).all()


@pytest.mark.parametrize("block", [480, 161, 7])
def test_blocks_do_not_matter_and_packets_are_independent(model, samples, encoder, block):
    other = DredEncoder(model)
    for at in range(0, len(samples), block):
        other.push(samples[at : at + block])
        if other.hops >= 4:
            other.write(0, 0, 5, 2, 12, 26)
    assert other.hops == encoder.hops == HOPS
    assert other.write(0, 0, 5, 2, 12, 26) == encoder.write(0, 0, 5, 2, 12, 26)
    other.push(samples[:100])
    copy = other.copy()
    for stream in (other, copy):
        stream.push(samples[100:3200])
    assert other.write(0, 0, 0, 0, 0, 26) == copy.write(0, 0, 0, 0, 0, 26) != encoder.write(0, 0, 0, 0, 0, 26)
    other.reset()
    other.push(samples)
    assert other.write(2, 0, 0, 0, 0, 26) == encoder.write(2, 0, 0, 0, 0, 26)


def test_rate_follows_the_level_and_loudness_the_speech(model, samples, encoder):
    sizes = [len(encoder.write(0, 0, level, 0, level, 26)) for level in (0, 8, 15)]
    assert sizes == sorted(sizes, reverse=True)
    features = speech_features(samples, HOPS)[:, 0].reshape(-1, 2).max(1)
    assert [encoder.loudness(age) for age in (0, 1, 40)] == [features[-1 - age] for age in (0, 1, 40)]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((-1, 0, 0, 0, 0, 1), id="the future"),
        pytest.param((HOPS // 2, 0, 0, 0, 0, 1), id="before the beginning"),
        pytest.param((0, 192, 0, 0, 0, 1), id="offset"),
        pytest.param((0, 0, 16, 0, 16, 1), id="level"),
        pytest.param((0, 0, 4, 1, 3, 1), id="levels that fall"),
        pytest.param((0, 0, 4, 8, 5, 1), id="slope"),
        pytest.param((0, 0, 4, 0, 4, 0), id="no chunk"),
        pytest.param((2**31 - 1, 0, 4, 0, 4, 2**31 - 1), id="huge"),
    ],
)
def test_what_cannot_be_written_is_refused(encoder, arguments):
    with pytest.raises(ValueError, match="no payload of age"):
        encoder.write(*arguments)


def test_bad_arguments_are_refused(model, encoder):
    with pytest.raises(ValueError, match="no payload"):
        DredEncoder(model).write(0, 0, 0, 0, 0, 1)
    with pytest.raises(ValueError, match="one dimension"):
        encoder.push(np.zeros((1, 160), np.float32))
    for stream, age in ((encoder, HOPS // 2), (encoder, -1), (DredEncoder(model), 0)):
        with pytest.raises(ValueError, match="age must be below"):
            stream.loudness(age)
    reader = DredReader(model, encoder.write(0, 0, 4, 0, 4, 2))
    for bad in (-1, 2):
        with pytest.raises(ValueError, match="chunk must be from 0 to 1"):
            reader.features(bad)
    with pytest.raises(ValueError, match="chunks must be 1 or more"):
        reader.shortened(0)
    hostile = DredEncoder(model)
    hostile.push(np.array([np.nan, np.inf, -np.inf, 3e38] * 80, np.float32))
    hostile.push(np.zeros(320, np.float32))
    assert np.isfinite(DredReader(model, hostile.write(0, 0, 0, 0, 0, 26)).features(0)).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_both_parsers_read_or_refuse_the_same(model, reference, encoder, data):
    level = data.draw(st.integers(0, 15))
    valid = encoder.write(data.draw(st.integers(0, 20)), 0, level, data.draw(st.integers(0, 7)), 15, MAX_CHUNKS)
    damaged = bytearray(valid)
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    received = bytes(damaged[: data.draw(st.integers(0, len(damaged)))] if data.draw(st.booleans()) else damaged)
    for bytes_ in (received, with_check(received)):
        try:
            want = DredPayload.parse(bytes_, reference)
        except PacketError:
            with pytest.raises(ValueError, match="DRED payload"):
                DredReader(model, bytes_)
            continue
        got = DredReader(model, bytes_)
        assert (got.offset, got.chunks) == (want.offset, len(want.latents))
        assert got.shortened(MAX_CHUNKS) == want.write(reference)
        assert np.isfinite(got.features(got.chunks - 1)).all()


def test_the_largest_payload_is_cheap(model):
    data = with_check(bytes([ord("V"), ID, 0, 0]) + bytes(range(256)) * 15)
    assert_cheap(lambda data: DredReader(model, data), data, ValueError)
    with pytest.raises(ValueError, match="no DRED payload"):
        DredReader(model, bytes(1 << 20))
