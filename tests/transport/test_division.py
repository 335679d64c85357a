import pytest

from vivavoce.transport.division import divide
from vivavoce.transport.protection import Protection


def test_all_of_it_is_opus_without_protection():
    division = divide(32_000, Protection(), 0.2, 20)
    assert (division.opus_bps, division.dred_bps) == (32_000, 0)


@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_copies_and_headers_have_their_share(packet_ms):
    division = divide(64_000, Protection(red=(1, 2)), 0.2, packet_ms)
    assert 3 * division.opus_bps + 8 * 9 * 1000 / packet_ms == pytest.approx(64_000)
    division = divide(64_000, Protection(red=(1, 2)), 0.2, packet_ms, red_bitrate_bps=10_000)
    assert division.opus_bps + 20_000 + 8 * 9 * 1000 / packet_ms == pytest.approx(64_000)


def test_descriptions_grow_with_rate_and_loss_and_leave_opus_what_it_needs():
    dred = Protection(dred_ms=1040)
    rates = [[divide(rate, dred, loss, 20) for loss in (0.0, 0.1, 0.3)] for rate in (16_000, 24_000, 40_000, 72_000)]
    for row in rates:
        assert row[0].dred_bps <= row[1].dred_bps <= row[2].dred_bps
    for column in zip(*rates, strict=True):
        shares = [division.dred_bps for division in column]
        assert shares == sorted(shares)
        assert all(division.opus_bps >= 12_000 for division in column[1:])
    for row, rate in zip(rates, (16_000, 24_000, 40_000, 72_000), strict=True):
        assert all(division.opus_bps + division.dred_bps == rate for division in row)


def test_of_little_time_there_is_only_so_much_to_say():
    short, long = (divide(200_000, Protection(dred_ms=ms), 0.2, 20) for ms in (80, 1040))
    assert short.dred_bps < 0.3 * long.dred_bps


def test_lbrr_has_room_beside_descriptions():
    alone, beside = (divide(40_000, Protection(lbrr=lbrr, dred_ms=1040), 0.2, 20) for lbrr in (False, True))
    assert beside.opus_bps > alone.opus_bps + 1_000


@pytest.mark.parametrize("packet_ms", [10, 20, 40])
def test_poor_descriptions_are_rare(packet_ms):
    every = [divide(rate, Protection(dred_ms=1040), 0.2, packet_ms).dred_every for rate in (16_000, 32_000, 72_000)]
    assert every == sorted(every, reverse=True)
    assert every[-1] * packet_ms <= max(20, packet_ms)


@pytest.mark.parametrize("protect", ["none", "red:1,2", "dred", "lbrr+dred"])
def test_opus_keeps_its_least(protect):
    with pytest.raises(ValueError, match=r"leaves -?\d+ b/s for Opus"):
        divide(5_000, Protection.parse(protect), 0.1, 20)
