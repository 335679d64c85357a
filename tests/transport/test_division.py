import pytest

from vivavoce.transport.division import divide
from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.protection import Protection

DRED = Protection(dred_ms=1040)


def loss(rate, mean_burst=2.0):
    return LossForecast.usual(rate, mean_burst)


def test_all_of_it_is_opus_without_protection():
    division = divide(32_000, Protection(), loss(0.2), 20)
    assert (division.opus_bps, division.dred_bps) == (32_000, 0)


@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_copies_and_headers_have_their_share(packet_ms):
    division = divide(64_000, Protection(red=(1, 2)), loss(0.2), packet_ms)
    assert 3 * division.opus_bps + 8 * 9 * 1000 / packet_ms == pytest.approx(64_000)
    division = divide(64_000, Protection(red=(1, 2)), loss(0.2), packet_ms, red_bitrate_bps=10_000)
    assert division.opus_bps + 20_000 + 8 * 9 * 1000 / packet_ms == pytest.approx(64_000)


@pytest.mark.parametrize("delay_ms", [None, 100, 1100])
def test_descriptions_grow_with_rate_and_loss(delay_ms):
    rows = [
        [divide(rate, DRED, loss(share), 20, None, delay_ms) for share in (0.0, 0.1, 0.3)]
        for rate in (16_000, 24_000, 40_000, 72_000)
    ]
    for row, rate in zip(rows, (16_000, 24_000, 40_000, 72_000), strict=True):
        # where more would have no use, how many packets fit into a period decides
        assert row[0].dred_bps <= 1.2 * row[1].dred_bps
        assert row[1].dred_bps <= 1.2 * row[2].dred_bps
        assert all(division.opus_bps + division.dred_bps == rate for division in row)
        assert all(division.opus_bps >= 0.5 * rate for division in row)
    assert rows[0][0].dred_bps < rows[0][1].dred_bps < rows[0][2].dred_bps
    for column in zip(*rows, strict=True):
        shares = [division.dred_bps for division in column]
        assert shares == sorted(shares)


@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_who_waits_longer_hears_rarer_descriptions_of_more(packet_ms):
    divisions = [divide(32_000, DRED, loss(0.2), packet_ms, None, delay) for delay in (0, 60, 200, 500, 1100, 10_000)]
    periods, reach = ([getattr(each, name) for each in divisions] for name in ("dred_every", "dred_ms"))
    assert periods == sorted(periods)
    assert periods[0] * packet_ms <= max(40, packet_ms)
    assert 170 <= periods[-1] * packet_ms <= 330
    assert reach == [40, 60, 200, 500, 1040, 1040]


@pytest.mark.parametrize("text", ["dred", "lbrr+dred", "red:1+dred"])
@pytest.mark.parametrize("packet_ms", [10, 20, 60])
def test_descriptions_leave_opus_what_it_needs(text, packet_ms):
    protection = Protection.parse(text)
    headers = 8 * 5 * 1000 / packet_ms if protection.red else 0
    least = 6_000 * (1 + len(protection.red)) + headers
    for spare in (0, 0.1, 1_000, 3_333.3):
        division = divide(least + spare, protection, loss(1.0), packet_ms)
        assert division.opus_bps == pytest.approx(6_000, abs=1e-3)
        assert division.dred_bps == pytest.approx(spare, abs=1e-3)


def test_long_bursts_need_frequent_descriptions():
    periods = [divide(32_000, DRED, loss(0.2, burst), 20, None, 1100).dred_every for burst in (1, 2, 4)]
    assert periods[0] > periods[1] > periods[2] >= 8


def test_descriptions_that_get_lost_too_are_more_frequent():
    every = [divide(32_000, DRED, loss(rate), 20, None, 1100).dred_every for rate in (0.2, 0.4, 0.7)]
    assert every[0] > every[1] > every[2]
    assert divide(32_000, DRED, loss(1.0), 20, None, 1100).dred_every == 2


def test_of_little_time_there_is_only_so_much_to_say():
    short, long = (divide(500_000, Protection(dred_ms=ms), loss(0.2), 20, None, 1100) for ms in (80, 1040))
    assert short.dred_bps < 0.5 * long.dred_bps
    assert short.dred_every == long.dred_every == 1


@pytest.mark.parametrize("protect", ["none", "red:1,2", "dred", "lbrr+dred"])
def test_opus_keeps_its_least(protect):
    with pytest.raises(ValueError, match=r"leaves -?\d+ b/s for Opus"):
        divide(5_000, Protection.parse(protect), loss(0.1), 20)
