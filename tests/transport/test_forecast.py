import numpy as np
import pytest

from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.loss import Bernoulli, GilbertElliott, RecordedTrace


def test_bursts_of_a_model_are_counted():
    forecast = LossForecast.of(GilbertElliott(0.1, 0.4))
    assert forecast.rate == pytest.approx(0.2)
    np.testing.assert_allclose(forecast.survivors[:4], 0.6 ** np.arange(4), atol=0.03)
    assert forecast.mean_burst == pytest.approx(2.5, rel=0.05)


def test_bursts_of_a_recording_are_counted():
    forecast = LossForecast.of(RecordedTrace(np.array([0, 1, 1, 1, 0, 0, 1, 0], bool)))
    assert forecast.survivors[:4] == pytest.approx((1, 0.5, 0.5, 0), abs=1e-3)


def test_where_nothing_is_lost_nothing_is_expected():
    forecast = LossForecast.of(Bernoulli(0.0))
    assert forecast.rate == 0
    assert forecast.mean_burst == 1


def test_of_what_nobody_knows_the_usual_is_expected():
    assert LossForecast.of(None) == LossForecast.usual(0.0)
    assert LossForecast.of(None).mean_burst == pytest.approx(2)


def test_a_packet_that_comes_long_after_another_is_as_likely_lost_as_any():
    forecast = LossForecast.usual(0.3, 3.0)
    shares = [forecast.lost_again(packets) for packets in (0, 1, 2, 5, 100)]
    assert shares[0] == 0
    assert shares[1] == pytest.approx(1 / 7, rel=1e-3)  # a burst begins
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.3)
    assert LossForecast.usual(1.0).lost_again(1) == 1
    assert LossForecast.usual(0.0).lost_again(9) == 0


@pytest.mark.parametrize("mean", [1, 1.5, 4])
def test_of_a_mean_alone_most_bursts_are_short_and_some_long(mean):
    forecast = LossForecast.usual(0.1, mean)
    assert forecast.mean_burst == pytest.approx(mean, rel=0.01)
    assert forecast.at(0.3) == LossForecast.usual(0.3, mean)
    assert forecast.survivors[1] <= 1 - 1 / mean  # of bursts without memory, so many go on
    assert forecast.survivors[20] >= (1.5 if mean > 1 else 0) * (1 - 1 / mean) ** 20


@pytest.mark.parametrize(("rate", "survivors"), [(1.1, (1.0,)), (0.1, ()), (0.1, (0.5,)), (0.1, (1.0, 0.2, 0.3))])
def test_what_is_no_forecast_is_refused(rate, survivors):
    with pytest.raises(ValueError, match="no losses"):
        LossForecast(rate, survivors)


def test_the_burst_in_which_most_is_lost():
    forecast = LossForecast(0.2, (1.0, 0.1, 0.1, 0.1, 0.1, 0.0))  # nine of one, one of five: five of fourteen
    assert [forecast.burst(share) for share in (0.0, 0.6, 0.7, 1.0)] == [1, 1, 5, 5]
