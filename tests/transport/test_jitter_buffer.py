import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.transport.jitter_buffer import MAX_BYTES, MAX_PAYLOADS, JitterBuffer, Payload


def payload(timestamp, source="primary", ticks=960, size=10):
    return Payload(timestamp, ticks, bytes(size), source, arrival=0.0)


def test_a_primary_replaces_a_copy_and_nothing_replaces_a_primary():
    buffer = JitterBuffer()
    assert buffer.insert(payload(960, "red"))
    assert not buffer.insert(payload(960, "red"))
    assert buffer.insert(payload(960, "primary"))
    assert not buffer.insert(payload(960, "red"))
    assert buffer.at(960).source == "primary"
    assert len(buffer) == 1


def test_neighbours_are_found_by_time():
    buffer = JitterBuffer()
    for timestamp in (2880, 0, 960):
        buffer.insert(payload(timestamp))
    assert buffer.first.timestamp == 0
    assert buffer.at(960).timestamp == 960
    assert buffer.at(961) is None
    assert buffer.covering(1000).timestamp == 960
    assert buffer.covering(960) is None  # it begins there, it does not reach over it
    assert buffer.covering(1920) is None
    assert buffer.after(960).timestamp == 2880
    assert buffer.after(2880) is None


def test_a_run_ends_where_a_payload_is_missing_or_when_it_is_long_enough():
    buffer = JitterBuffer()
    for timestamp in (0, 2880, 3840, 4800, 7680):
        buffer.insert(payload(timestamp))

    def run(timestamp, ticks):
        return [following.timestamp for following in buffer.run_after(timestamp, ticks)]

    assert run(0, 2880) == [2880, 3840, 4800]
    assert run(0, 1920) == [2880, 3840]
    assert run(0, 10_000) == [2880, 3840, 4800]
    assert run(4800, 2880) == [7680]
    assert run(7680, 2880) == []


def test_what_is_over_is_dropped():
    buffer = JitterBuffer()
    for timestamp in (0, 960, 1920):
        buffer.insert(payload(timestamp))
    assert [dropped.timestamp for dropped in buffer.drop_before(1920)] == [0, 960]
    buffer.remove(1920)
    buffer.remove(1920)
    assert len(buffer) == 0
    assert buffer.first is None


@pytest.mark.parametrize(("count", "size"), [(5 * MAX_PAYLOADS, 10), (100, 60_000)], ids=["many", "large"])
def test_memory_is_bounded_and_the_nearest_stay(count, size):
    buffer = JitterBuffer()
    for index in range(count):
        buffer.insert(payload(index * 960, size=size))
    assert len(buffer) <= MAX_PAYLOADS
    assert len(buffer) * size <= MAX_BYTES
    assert buffer.first.timestamp == 0


@given(
    st.lists(
        st.tuples(st.integers(-50, 50), st.sampled_from(["primary", "red"]), st.sampled_from([120, 480, 960, 2880])),
        max_size=60,
    ),
    st.integers(-10_000, 10_000),
)
def test_it_agrees_with_a_dictionary(inserted, moment):
    buffer, plain = JitterBuffer(), {}
    for place, source, ticks in inserted:
        new = payload(place * 120, source, ticks)
        old = plain.get(new.timestamp)
        if old is None or (old.source == "red" and source == "primary"):
            plain[new.timestamp] = new
        buffer.insert(new)
    assert len(buffer) == len(plain)
    assert buffer.at(moment) == plain.get(moment)
    later = [t for t in plain if t > moment]
    assert buffer.after(moment) == (plain[min(later)] if later else None)
    before = [t for t in plain if t < moment]
    nearest = plain[max(before)] if before else None
    expected = nearest if nearest is not None and nearest.timestamp + nearest.ticks > moment else None
    assert buffer.covering(moment) == expected
