from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.transport import loss
from vivavoce.transport.loss import (
    BURST_MODELS,
    Bernoulli,
    BurstAge,
    GilbertElliott,
    RecordedTrace,
    burst_ages,
    parse_loss,
    read_trace,
)

probability = st.floats(0.02, 0.98)
GROWING = BurstAge(0.05, (0.3, 0.5, 0.7, 0.85))
RANDOM_MODELS = [
    pytest.param(Bernoulli(0.2), id="Bernoulli"),
    pytest.param(GilbertElliott(0.1, 0.4), id="Gilbert-Elliott"),
    pytest.param(GROWING, id="burst age"),
]


def take(model, packets, seed=0):
    return np.fromiter(islice(model.stream(seed), packets), dtype=bool)


@given(to_bad=probability, to_good=probability)
@settings(max_examples=20, deadline=None)
def test_fit_recovers_the_chain_that_made_the_trace(to_bad, to_good):
    fitted = GilbertElliott.fit(take(GilbertElliott(to_bad, to_good), 20_000))
    assert fitted.to_bad == pytest.approx(to_bad, abs=0.08)
    assert fitted.to_good == pytest.approx(to_good, abs=0.08)


def test_fit_recovers_how_the_danger_grows_with_the_age_of_the_burst():
    fitted = BurstAge.fit(take(GROWING, 200_000))
    assert fitted.after_received == pytest.approx(GROWING.after_received, abs=0.005)
    assert fitted.after_lost[:4] == pytest.approx(GROWING.after_lost, abs=0.04)
    assert fitted.mean_burst == pytest.approx(GROWING.mean_burst, rel=0.05)


@pytest.mark.parametrize("model", RANDOM_MODELS)
def test_the_declared_loss_rate_is_the_one_drawn(model):
    assert take(model, 200_000, seed=3).mean() == pytest.approx(model.loss_rate, abs=0.006)


@pytest.mark.parametrize("model", RANDOM_MODELS)
def test_the_first_packet_is_lost_as_often_as_any_other(model):
    first = [next(model.stream(seed)) for seed in range(4000)]
    assert np.mean(first) == pytest.approx(model.loss_rate, abs=0.025)


def test_a_call_may_begin_in_the_middle_of_a_burst():
    # of the bursts under way at a random moment, old ones are more than of those that begin
    model = BurstAge(0.02, (0.5, 0.99))
    survived = [take(model, 2, seed).tolist() == [True, True] for seed in range(2000) if take(model, 1, seed)[0]]
    assert np.mean(survived) > 0.9


@pytest.mark.parametrize("model", RANDOM_MODELS)
def test_the_seed_decides(model):
    assert (take(model, 1000, seed=1) == take(model, 1000, seed=1)).all()
    assert (take(model, 1000, seed=1) != take(model, 1000, seed=2)).any()


def test_mean_burst_counts_the_packets_of_a_burst():
    lost = take(GROWING, 200_000)
    bursts = np.flatnonzero(lost & ~np.roll(lost, 1)).size
    assert GROWING.mean_burst == pytest.approx(lost.sum() / bursts, rel=0.05)
    assert GilbertElliott(0.1, 0.25).mean_burst == 4


def test_a_gilbert_chain_is_a_burst_model_that_forgets():
    assert (take(GilbertElliott(0.1, 0.4), 5000, 7) == take(BurstAge(0.1, (0.6,)), 5000, 7)).all()


def test_rarely_reached_ages_share_one_figure():
    lost = [*([True, False] * 60), *([True, True, True, False] * 3)]
    fitted = BurstAge.fit(lost)
    assert fitted.after_lost == pytest.approx((6 / (60 + 3 * 3),))
    assert BurstAge.fit(lost, min_bursts=3).after_lost == pytest.approx((3 / 63, 1.0, 0.0))


@pytest.mark.parametrize("model", [Bernoulli, GilbertElliott, BurstAge])
@given(lost=st.lists(st.booleans(), max_size=40))
@settings(max_examples=60, deadline=None)
def test_fitting_any_trace_gives_a_model_or_a_clear_error(model, lost):
    try:
        fitted = model.fit(lost)
    except ValueError as error:
        assert "trace" in str(error) or "at least one packet" in str(error)  # noqa: PT017
    else:
        assert 0 <= fitted.loss_rate <= 1
        assert take(fitted, 10).shape == (10,)


@given(lost=st.lists(st.booleans(), min_size=1, max_size=60))
def test_burst_ages_count_from_the_last_received_packet(lost):
    expected, age = [], 0
    for one in lost:
        age = age + 1 if one else 0
        expected.append(age)
    assert burst_ages(lost).tolist() == expected


def test_a_recording_starts_again_at_its_first_line():
    trace = RecordedTrace(np.array([True, False, False]))
    assert take(trace, 7).tolist() == [True, False, False, True, False, False, True]
    assert take(RecordedTrace(trace.lost, start=5), 4).tolist() == [False, True, False, False]
    assert trace.loss_rate == pytest.approx(1 / 3)


def test_a_recording_is_not_changed_from_outside():
    lost = np.array([True, False])
    trace = RecordedTrace(lost)
    lost[:] = False
    assert trace.loss_rate == 0.5
    with pytest.raises(ValueError, match="read-only"):
        trace.lost[0] = False


@pytest.mark.parametrize(
    ("make", "name"),
    [
        pytest.param(lambda: GilbertElliott(1.1, 0.5), "to_bad", id="more than certain"),
        pytest.param(lambda: GilbertElliott(0.1, 0.0), "to_good", id="a burst that never ends"),
        pytest.param(lambda: GilbertElliott(float("nan"), 0.5), "to_bad", id="not a number"),
        pytest.param(lambda: Bernoulli(-0.1), "loss_rate", id="less than never"),
        pytest.param(lambda: BurstAge(2.0, (0.5,)), "after_received", id="entering a burst"),
        pytest.param(lambda: BurstAge(0.1, (0.5, 1.5)), "age 2", id="going on with a burst"),
        pytest.param(lambda: BurstAge(0.1, (0.5, 1.0)), "never end", id="an old burst that never ends"),
        pytest.param(lambda: BurstAge(0.1, ()), "at least one", id="no ages"),
        pytest.param(lambda: RecordedTrace(np.array([], dtype=bool)), "at least one packet", id="an empty recording"),
    ],
)
def test_impossible_models_are_named(make, name):
    with pytest.raises(ValueError, match=name):
        make()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"0\n1\n1\n0\n", id="unix"),
        pytest.param(b"0\r\n1\r\n1\r\n0\r\n", id="windows"),
        pytest.param(b"0\n1\n1\n0", id="no last newline"),
        pytest.param(b"0\n1\n1\n0\n\n\n", id="empty lines at the end"),
    ],
)
def test_a_trace_is_read(tmp_path, content):
    path = tmp_path / "trace.txt"
    path.write_bytes(content)
    assert read_trace(path).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"0\n1\nlost\n", r"trace\.txt, line 3: expected 0 or 1, got 'lost'", id="a word"),
        pytest.param(b"0\n\n1\n", r"trace\.txt, line 2: expected 0 or 1, got an empty line", id="a gap"),
        pytest.param(b"0 1 1\n", r"trace\.txt, line 1: expected 0 or 1, got '0 1 1'", id="several on a line"),
        pytest.param(b"", r"trace\.txt, line 1: .* empty", id="empty"),
        pytest.param(b"\n" * 1000, r"trace\.txt, line 1: .* many empty lines", id="only line ends"),
        pytest.param("0\n1\n".encode("utf-16"), r"trace\.txt, line 1: expected 0 or 1, got", id="UTF-16"),
        pytest.param(bytes(range(256)) * 4096, r"trace\.txt, line 1: expected 0 or 1, got", id="a megabyte of binary"),
        pytest.param(b"0" * 1_000_000, r"trace\.txt, line 1: expected 0 or 1, got '0{20}'$", id="one long line"),
    ],
)
def test_a_bad_trace_says_where(tmp_path, content, message):
    path = tmp_path / "trace.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_trace(path)


def test_a_trace_cannot_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(loss, "MAX_TRACE_PACKETS", 3)
    path = tmp_path / "trace.txt"
    path.write_text("0\n1\n0\n1\n")
    with pytest.raises(ValueError, match=r"line 4: a trace has at most 3 packets"):
        read_trace(path)


@given(content=st.binary(max_size=60))
@settings(deadline=None)
def test_reading_anything_gives_a_trace_or_a_value_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "trace.txt"
    path.write_bytes(content)
    try:
        lost = read_trace(path)
    except ValueError as error:
        assert f"{path}, line " in str(error)  # noqa: PT017
    else:
        assert lost.dtype == bool
        assert len(lost) >= 1


@pytest.mark.parametrize(
    ("text", "model"),
    [
        pytest.param("20%", Bernoulli(0.2), id="per cent"),
        pytest.param("0%", Bernoulli(0.0), id="nothing lost"),
        pytest.param("gilbert:0.05,0.4", GilbertElliott(0.05, 0.4), id="Gilbert-Elliott"),
        pytest.param("burst:modelled-20", BURST_MODELS["modelled-20"], id="burst age"),
    ],
)
def test_a_model_is_named_in_one_word(text, model):
    assert parse_loss(text) == model


def test_an_existing_file_comes_before_every_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "20%").write_text("1\n0\n")
    assert take(parse_loss("20%"), 4).tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("120%", r"'120%' is no loss model: loss_rate must be in \[0, 1\], got 1.2", id="too much"),
        pytest.param("nan%", "loss_rate", id="not a number"),
        pytest.param("gilbert:0.1", "'gilbert:0.1' is no loss model", id="half a chain"),
        pytest.param("gilbert:0.1,0", "to_good", id="a burst that never ends"),
        pytest.param("burst:nobody", "'nobody'; there are: measured-1214, .*modelled-50", id="unknown burst model"),
        pytest.param("missing.txt", "'missing.txt' is neither an existing file nor .*modelled-50", id="no such file"),
        pytest.param("a" * 5000, "neither an existing file", id="longer than a file name may be"),
        pytest.param("a\0b", "neither an existing file", id="no possible file name"),
        pytest.param("", "neither an existing file", id="nothing"),
    ],
)
def test_an_unknown_model_says_what_there_is(text, message):
    with pytest.raises(ValueError, match=message):
        parse_loss(text)


@pytest.mark.parametrize(
    ("name", "loss_rate"),
    [
        pytest.param("measured-1214", 0.25, id="measured-1214"),
        pytest.param("measured-high", 0.696, id="measured-high"),
        pytest.param("modelled-05", 0.057, id="modelled-05"),
        pytest.param("modelled-20", 0.192, id="modelled-20"),
        pytest.param("modelled-50", 0.497, id="modelled-50"),
    ],
)
def test_fitted_models_lose_what_their_trace_lost(name, loss_rate):
    assert BURST_MODELS[name].loss_rate == pytest.approx(loss_rate, abs=0.003)
