import pytest

from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.planner import choose


@pytest.mark.parametrize(
    ("bitrate_bps", "loss", "delay_ms", "chosen", "because"),
    [
        pytest.param(32_000, 0.0, 100, "none", "no loss", id="a clean line"),
        pytest.param(10_000, 0.2, 100, "none", "too low", id="hardly enough for Opus"),
        pytest.param(32_000, 0.2, 40, "lbrr", "too short", id="a receiver in a hurry"),
        pytest.param(24_000, 0.2, 1100, "dred", "20.0 % loss", id="little rate"),
        pytest.param(32_000, 0.05, None, "dred", "5.0 % loss", id="little loss"),
        pytest.param(32_000, 0.2, 80, "lbrr", "too short", id="a receiver in some hurry"),
        pytest.param(32_000, 0.2, 200, "dred", "20.0 % loss", id="many descriptions leave no room"),
        pytest.param(48_000, 0.2, 200, "lbrr+dred", "20.0 % loss", id="room for both in haste"),
        pytest.param(32_000, 0.2, 1100, "lbrr+dred", "bursts of 2.0", id="room for both"),
        pytest.param(32_000, 0.4, 1100, "dred", "40.0 % loss", id="much loss and little rate"),
        pytest.param(40_000, 0.4, 1100, "lbrr+dred", "40.0 % loss", id="much loss and some rate"),
        pytest.param(72_000, 0.3, 1100, "red:2+dred", "30.0 % loss", id="room for copies"),
    ],
)
def test_what_is_chosen_and_why(bitrate_bps, loss, delay_ms, chosen, because):
    protection, why = choose(bitrate_bps, LossForecast.usual(loss), delay_ms)
    assert str(protection) == chosen
    assert because in why


@pytest.mark.parametrize("bitrate_bps", [40_000, 72_000])
def test_few_long_bursts_leave_little_to_copies(bitrate_bps):
    assert str(choose(bitrate_bps, LossForecast.usual(0.3, 30.0))[0]) == "dred"


def test_where_most_is_lost_descriptions_need_the_room_of_copies():
    forecast = LossForecast.usual(0.7, 3.8)
    rates = (24_000, 40_000, 72_000, 96_000)
    assert [str(choose(rate, forecast, 1100)[0]) for rate in rates] == ["dred", "dred", "lbrr+dred", "red:2+dred"]
