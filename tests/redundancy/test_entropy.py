import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.redundancy.entropy import CERTAIN, RangeDecoder, RangeEncoder

BITS = st.tuples(st.integers(1, CERTAIN - 1), st.booleans())
NUMBERS = st.integers(1, 256).flatmap(lambda total: st.tuples(st.just(total), st.integers(0, total - 1)))


def written(symbols):
    encoder = RangeEncoder()
    for total, value in symbols:
        if isinstance(value, bool):
            encoder.encode_bit(value, total)
        else:
            encoder.encode_number(value, total)
    return encoder.finish()


def read(data, symbols):
    decoder = RangeDecoder(data)
    values = []
    for total, value in symbols:
        values.append(decoder.decode_bit(total) if isinstance(value, bool) else decoder.decode_number(total))
    return values, decoder.bits_read


def information(symbols):
    return sum(
        -math.log2((total if value else CERTAIN - total) / CERTAIN) if isinstance(value, bool) else math.log2(total)
        for total, value in symbols
    )


@given(st.lists(BITS | NUMBERS, max_size=150))
def test_what_is_read_is_what_was_written_in_as_few_bytes_as_it_is_worth(symbols):
    data = written(symbols)
    values, bits_read = read(data, symbols)
    assert values == [value for _, value in symbols]
    assert 8 * len(data) <= information(symbols) + 0.01 * len(symbols) + 9
    assert 8 * len(data) - 9 <= bits_read <= information(symbols) + 0.01 * len(symbols) + 2


@given(st.binary(max_size=50), st.lists(BITS | NUMBERS, max_size=150))
def test_any_bytes_are_some_symbols(data, symbols):
    for (total, like), value in zip(symbols, read(data, symbols)[0], strict=True):
        assert isinstance(like, bool) or 0 <= value < total


@pytest.mark.parametrize(
    ("symbols", "data"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([(1 << 14, False)] * 8, "00", id="eight-halves-false"),
        pytest.param([(1 << 14, True)] * 8, "ff", id="eight-halves-true"),
        pytest.param([(256, 0xC0), (256, 0xFF), (256, 0xEE)], "c0ffee", id="bytes"),
        pytest.param([(256, 0xFF)] * 5 + [(256, 1)], "ffffffffff01", id="bytes-that-a-carry-would-pass"),
        pytest.param([(3, 1), (3, 1)], "78", id="thirds"),
    ],
)
def test_known_bytes(symbols, data):
    assert written(symbols).hex() == data
    assert read(bytes.fromhex(data), symbols)[0] == [value for _, value in symbols]


@pytest.mark.parametrize("symbol", [(0, 0, 5), (3, 2, 5), (0, 6, 5), (0, 1, CERTAIN + 1), (-1, 1, 5)], ids=str)
def test_what_is_no_symbol_is_refused(symbol):
    with pytest.raises(ValueError, match="no symbol"):
        RangeEncoder().encode(*symbol)
