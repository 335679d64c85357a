import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_limits import assert_cheap, assert_read_or_refused, mutations
from vivavoce.errors import PacketError
from vivavoce.redundancy.entropy import CERTAIN
from vivavoce.redundancy.payload import (
    LEVELS,
    MAX_CHUNKS,
    MAX_MAGNITUDE,
    SLOPES,
    DredPayload,
    LevelSchedule,
    PayloadModel,
    SymbolTables,
    model_id,
    with_check,
)

LATENT, STATE = 6, 9


def tables(dimensions, seed):
    """Wide at fine levels, narrow at coarse ones; the last dimension is always 0."""
    random, coarse = np.random.default_rng(seed), np.linspace(0.05, 0.9, LEVELS)[:, None]
    zero = CERTAIN * (coarse + 0.05 * random.random((LEVELS, dimensions)))
    more = CERTAIN * (0.9 - 0.8 * coarse) * random.random(dimensions)
    zero[:, -1] = CERTAIN
    return SymbolTables(*(np.clip(np.round(part), 1, CERTAIN).astype(np.int32) for part in (zero, more)))


MODEL = PayloadModel(7, tables(LATENT, 0), tables(STATE, 1))
numbers = st.one_of(st.integers(-3, 3), st.integers(-MAX_MAGNITUDE, MAX_MAGNITUDE))
levels = st.integers(0, LEVELS - 1).flatmap(
    lambda first: st.builds(
        LevelSchedule, st.just(first), st.integers(0, len(SLOPES) - 1), st.integers(first, LEVELS - 1)
    )
)


def vectors(dimensions):
    return st.tuples(*[numbers] * (dimensions - 1), st.just(0))


payloads = st.builds(
    DredPayload,
    st.integers(-64, 191),
    levels,
    vectors(STATE),
    st.lists(vectors(LATENT), min_size=1, max_size=MAX_CHUNKS).map(tuple),
)


@given(payloads)
def test_what_is_read_is_what_was_written(payload):
    data = payload.write(MODEL)
    assert data[:2] == bytes([ord("V"), 7])
    assert DredPayload.parse(data, MODEL) == payload


@given(payloads, st.integers(1, MAX_CHUNKS))
def test_a_relay_leaves_out_the_oldest_chunks(payload, chunks):
    short = payload.shortened(chunks).write(MODEL)
    assert len(short) <= len(payload.write(MODEL)) + 1
    read = DredPayload.parse(short, MODEL)
    assert read.latents == payload.latents[:chunks]
    assert (read.offset, read.levels, read.state) == (payload.offset, payload.levels, payload.state)


@given(payloads, st.data())
def test_damage_is_found(payload, data):
    whole = payload.write(MODEL)
    place, flip = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    damaged = whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
    with pytest.raises(PacketError):
        DredPayload.parse(damaged, MODEL)
    with pytest.raises(PacketError):
        DredPayload.parse(whole[:place], MODEL)


@given(payloads.map(lambda payload: payload.write(MODEL)).flatmap(mutations))
def test_what_others_write_is_read_or_refused(data):
    for received in (data, with_check(data)):
        assert_read_or_refused(lambda data: DredPayload.parse(data, MODEL), lambda read: read.write(MODEL), received)


@given(st.binary(max_size=300))
def test_any_bytes_with_a_true_check_are_a_payload_or_end_too_early(coded):
    data = with_check(bytes([ord("V"), 7, 0, 0]) + coded)
    assert_read_or_refused(lambda data: DredPayload.parse(data, MODEL), lambda read: read.write(MODEL), data)


def test_the_largest_payload_costs_no_more_than_its_length():
    assert_cheap(
        lambda data: DredPayload.parse(data, MODEL), with_check(bytes([ord("V"), 7, 0, 0]) + bytes([255]) * 4092)
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "no DRED payload", id="nothing"),
        pytest.param(b"V\x07\x00", "no DRED payload", id="too short"),
        pytest.param(b"D\x0a\x00\x00\x00", "no DRED payload", id="libopus's"),
        pytest.param(b"V\x27\x00\x00\x00", "version 1", id="another version"),
        pytest.param(b"V\x03\x00\x00\x00", "model 3, not 7", id="another model"),
        pytest.param(b"V\x07" + bytes(4095), "no DRED payload", id="too long"),
    ],
)
def test_what_is_no_payload_of_this_model_is_refused(data, message):
    with pytest.raises(PacketError, match=message):
        DredPayload.parse(data, MODEL)


def test_the_model_is_known_before_the_rest():
    assert model_id(b"V\x1f\x00\x00") == 31


def test_levels_rise_with_age_to_the_last():
    schedule = LevelSchedule(4, SLOPES.index(8), 10)
    assert [schedule.level(chunk) for chunk in (0, 1, 2, 5, 12, 25)] == [4, 5, 5, 7, 10, 10]
    assert LevelSchedule(4, 0, 12) == LevelSchedule(4)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(lambda: LevelSchedule(9, 1, 8), id="levels that fall"),
        pytest.param(lambda: DredPayload(0, LevelSchedule(0), (0,), ((0,),)).shortened(0), id="nothing left"),
        pytest.param(lambda: LevelSchedule(0, 8), id="slope"),
        pytest.param(lambda: DredPayload(192, LevelSchedule(0), (0,) * STATE, ((0,) * LATENT,)).write(MODEL), id="far"),
        pytest.param(lambda: DredPayload(0, LevelSchedule(0), (0,) * STATE, ()).write(MODEL), id="no chunk"),
        pytest.param(
            lambda: DredPayload(0, LevelSchedule(0), (0,) * STATE, ((0,) * (LATENT - 1) + (1,),)).write(MODEL),
            id="a number that is always 0",
        ),
        pytest.param(
            lambda: DredPayload(0, LevelSchedule(0), (64,) + (0,) * (STATE - 1), ((0,) * LATENT,)).write(MODEL),
            id="a large number",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(payload):
    with pytest.raises(ValueError, match=r"no levels|no payload|cannot be sent|1 or more"):
        payload()
