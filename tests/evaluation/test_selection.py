import pytest

from vivavoce.evaluation.call import Configuration
from vivavoce.evaluation.selection import parse_configurations, parse_losses
from vivavoce.transport.loss import Bernoulli
from vivavoce.transport.protection import Protection

NONE, LBRR, BOTH = Protection(), Protection(lbrr=True), Protection(lbrr=True, red=(2,))


def test_rates_protections_and_single_configurations_are_crossed_with_the_receiver():
    configurations = parse_configurations(["none", "lbrr"], "24000,32000", ["lbrr+red:2@48000"], "opus", "1100")
    expected = [(NONE, 24_000), (LBRR, 24_000), (NONE, 32_000), (LBRR, 32_000), (BOTH, 48_000)]
    assert configurations == [Configuration(protection, rate) for protection, rate in expected]


def test_concealments_and_delays_are_axes():
    configurations = parse_configurations(["none"], "32000", [], "opus,repeat", "40,adaptive")
    assert [(one.name, one.playout_delay_ms) for one in configurations] == [
        ("none", 40.0),
        ("none", None),
        ("none/repeat", 40.0),
        ("none/repeat", None),
    ]


def test_a_single_configuration_may_have_a_concealment_of_its_own():
    configurations = parse_configurations(
        ["lbrr"], "24000", ["none/opus@24000", "none/repeat,silence@24000"], "neural", "1100"
    )
    assert [one.name for one in configurations] == ["lbrr/neural", "none", "none/repeat", "none/silence"]


def test_a_configuration_named_twice_is_run_once():
    assert len(parse_configurations(["none", "none"], "32000", ["none@32000"], "opus", "1100")) == 1


def test_a_file_is_called_by_its_name_without_the_suffix(tmp_path):
    (tmp_path / "bad.txt").write_text("0\n1\n")
    losses = parse_losses([str(tmp_path / "bad.txt"), "2.5%"])
    assert [loss.name for loss in losses] == ["bad", "2.5%"]
    assert losses[1].model == Bernoulli(0.025)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: parse_configurations(["fec"], "32000", [], "opus", "100"), "'fec'", id="protection"),
        pytest.param(
            lambda: parse_configurations(["none"], "fast", [], "opus", "100"), "--bitrate .* 'fast'", id="rate"
        ),
        pytest.param(lambda: parse_configurations(["none"], "nan", [], "opus", "100"), "--bitrate", id="no number"),
        pytest.param(lambda: parse_configurations([], "", ["none"], "opus", "100"), "PROTECT@BPS", id="config"),
        pytest.param(
            lambda: parse_configurations([], "", ["none/magic@1"], "opus", "1"), "--config .* 'magic'", id="own conceal"
        ),
        pytest.param(lambda: parse_configurations([], "", ["none@x"], "opus", "100"), "--config .* 'x'", id="at rate"),
        pytest.param(
            lambda: parse_configurations(["none"], "1", [], "magic", "1"), "--conceal .* 'magic'", id="conceal"
        ),
        pytest.param(lambda: parse_configurations(["none"], "1", [], ",", "1"), "--conceal", id="no conceal"),
        pytest.param(lambda: parse_configurations(["none"], "1", [], "opus", "-5"), "--playout-delay", id="delay"),
        pytest.param(lambda: parse_configurations(["none"], "1", [], "opus", ""), "--playout-delay", id="no delay"),
        pytest.param(lambda: parse_losses(["5%", "5%"]), "two losses are called '5%'", id="one loss twice"),
        pytest.param(lambda: parse_losses(["rain"]), "'rain' is neither", id="no loss"),
    ],
)
def test_what_is_not_understood_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
