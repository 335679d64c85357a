import base64
import errno
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from vivavoce.evaluation import report
from vivavoce.evaluation.report import page_html, report_files, write_report
from vivavoce.evaluation.report_text import headline, settings_lines, source_legend, table
from vivavoce.transport.call import CallResult, CallSettings
from vivavoce.transport.loss import Bernoulli
from vivavoce.transport.protection import Protection
from vivavoce.transport.stats import ReceiverStats

RATE = 16_000
FILES = report_files(["original", "unprotected", "protected"])
SETTINGS = CallSettings(loss=Bernoulli(0.2), protection=Protection.parse("lbrr+red:2"))


def call(samples, sources, **changes):
    """A call whose every slot that was not played from its own packet had lost it."""
    lost = np.array([source != "primary" for source in sources])
    result = CallResult(
        samples=samples,
        sample_rate=RATE,
        duration_s=len(samples) / RATE,
        packets=len(lost),
        lost=int(lost.sum()),
        bitrate_bps=31_250.0,
        expected_loss_pct=20.0,
        slots={source: sources.count(source) for source in sorted(set(sources))},
        redundancy={},
        protection={},
        playout_delay_ms=100.0,
        delay_changes=[],
        cpu_seconds_per_second={"encode": 0.012, "playout": 0.004},
        slot_sources=sources,
        lost_packets=lost,
        stats=ReceiverStats(),
        codec="libopus 1.6.1",
    )
    return replace(result, **changes)


@pytest.fixture
def original():
    return (0.3 * np.sin(np.arange(RATE) * 0.2)).astype(np.float32)


@pytest.fixture
def calls(original):
    bare = call((0.5 * original).astype(np.float32), ["primary", "plc"] * 25)
    protected = call(
        original, ["primary", "red", "primary", "plc", "primary"] * 10, protection={"lbrr": 0.71, "red": 1}
    )
    return {"unprotected": bare, "protected": protected}


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def write(directory, original, calls, **options):
    return write_report(directory, original, calls["unprotected"], calls["protected"], SETTINGS, **options)


def test_the_report_is_a_page_three_sounds_and_three_pictures(tmp_path, original, calls):
    page = write(tmp_path / "report", original, calls)
    assert page == tmp_path / "report" / "index.html"
    assert sorted(path.name for path in page.parent.iterdir()) == sorted(FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_the_sounds_are_those_of_the_call_on_the_page_and_beside_it(tmp_path, original, calls):
    page = write(tmp_path / "report", original, calls)
    heard = {"original": original, **{name: result.samples for name, result in calls.items()}}
    for track in data_of(page.read_text())["tracks"]:
        samples, rate = soundfile.read(page.with_name(f"{track['key']}.wav"), dtype="float32")
        assert rate == RATE
        np.testing.assert_allclose(samples, heard[track["key"]], atol=1 / 32_768)
        kind, _, body = track["audio"].partition(",")
        assert kind == "data:audio/wav;base64"
        assert base64.b64decode(body) == page.with_name(f"{track['key']}.wav").read_bytes()


def test_the_page_knows_each_packet_and_slot(tmp_path, original, calls):
    data = data_of(write(tmp_path / "report", original, calls).read_text())
    assert [source["name"] for source in data["sources"]] == ["Primary", "RED copy", "Concealed"]
    tracks = {track["key"]: track for track in data["tracks"]}
    assert tracks["original"]["slots"] == tracks["original"]["lost"] == ""
    assert tracks["unprotected"]["slots"] == "02" * 25
    assert tracks["protected"]["slots"] == "01020" * 10
    assert tracks["protected"]["lost"] == "01010" * 10


def test_nothing_on_the_page_comes_from_elsewhere(tmp_path, original, calls):
    page = write(tmp_path / "report", original, calls).read_text()
    assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.sub(r"base64,[A-Za-z0-9+/=]*", "", page))
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("</script><script>alert(1)</script>.wav", id="ends the script"),
        pytest.param("<!--<script>.wav", id="opens a comment"),
        pytest.param("__REPORT_DATA__.wav", id="names the placeholder"),
        pytest.param("a\u2028b\u2029 & \"c' \\.wav", id="line separators and quotes"),
        pytest.param("caf\udce9.wav", id="bytes that are not UTF-8"),
    ],
)
def test_no_file_name_breaks_out_of_its_place(tmp_path, original, calls, name):
    page = write(tmp_path / "report", original, calls, notes={"input": name}).read_text()
    assert page.count("</script>") == page_html({}).count("</script>")
    assert data_of(page)["input"] == name
    assert ["input", name] in data_of(page)["settings"]


def test_a_long_call_is_read_from_beside_the_page(tmp_path, original, calls, monkeypatch):
    monkeypatch.setattr(report, "MAX_EMBEDDED_BYTES", 6 * len(original) - 1)
    data = data_of(write(tmp_path / "report", original, calls).read_text())
    assert not data["embedded"]
    assert [track["audio"] for track in data["tracks"]] == ["original.wav", "unprotected.wav", "protected.wav"]


def test_parents_are_made(tmp_path, original, calls):
    assert write(tmp_path / "a" / "b", original, calls).exists()


@pytest.mark.parametrize("force", [False, True])
def test_an_empty_directory_is_filled(tmp_path, original, calls, force):
    assert write(tmp_path, original, calls, force=force).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


def test_a_directory_with_something_in_it_is_left_alone(tmp_path, original, calls):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=f"^{re.escape(str(tmp_path))}: exists and is not empty; --force"):
        write(tmp_path, original, calls)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_force_replaces_our_files_and_no_others(tmp_path, original, calls):
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "index.html").write_text("old")
    write(tmp_path, original, calls, force=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert "vivavoce" in (tmp_path / "index.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "thesis.txt"])


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_no_directory(tmp_path, original, calls, force):
    (tmp_path / "report").write_text("mine")
    with pytest.raises(FileExistsError, match="not a directory"):
        write(tmp_path / "report", original, calls, force=force)
    assert (tmp_path / "report").read_text() == "mine"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("before", [None, "empty", "report"])
def test_what_goes_wrong_leaves_everything_as_it_was(tmp_path, original, calls, monkeypatch, error, before):
    directory = tmp_path / "report"
    if before:
        directory.mkdir()
    if before == "report":
        write(directory, original, calls)
    found = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}

    def fail(page):
        raise error

    monkeypatch.setattr(report, "page_html", fail)
    with pytest.raises(type(error)):
        write(directory, -original, calls, force=True)
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"samples": np.zeros(5, np.float32)}, r"equally long.*\[16000, 5, 16000\]", id="shorter"),
        pytest.param({"sample_rate": 48_000}, r"one sample rate.*48000", id="another rate"),
    ],
)
def test_calls_that_do_not_belong_together_are_refused(tmp_path, original, calls, change, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "report", original, calls | {"unprotected": replace(calls["unprotected"], **change)})
    assert not list(tmp_path.iterdir())


def test_scores_of_an_unknown_call_are_refused(tmp_path, original, calls):
    with pytest.raises(ValueError, match="'PLCMOS'"):
        write(tmp_path / "report", original, calls, metrics={"PLCMOS": {"protected": 3.0}})


def test_the_headline_says_what_was_lost_and_what_was_saved(calls):
    text = headline(calls, SETTINGS).replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "The network lost 20 of 50 packets (40.0 %). Of 50 slots of 20 ms, the receiver had to make up 25 without "
        "protection and 10 with lbrr+red:2."
    )


def test_the_headline_of_a_call_without_protection_names_none(calls):
    assert headline(calls, CallSettings()).endswith("had to make up 25.")


def test_the_table_shows_figures_shares_and_scores(calls):
    metrics = {"unprotected": {"PESQ": 1.9, "ESTOI": 0.8}, "protected": {"PESQ": 3.25, "ESTOI": float("nan")}}
    rows = {row["name"]: row for group in table(calls, metrics, ["primary", "red", "plc"]) for row in group["rows"]}
    texts = {name: [text.replace("\N{NO-BREAK SPACE}", " ") for text in row["values"]] for name, row in rows.items()}
    assert texts["PESQ"] == ["1.90", "3.25"]
    assert rows["PESQ"]["better"] == 1
    assert texts["ESTOI"] == ["0.80", "–"]
    assert "better" not in rows["ESTOI"]
    assert texts["Lost"] == ["25  (50.0 %)", "20  (40.0 %)"]
    assert texts["RED copy"] == ["0  (0.0 %)", "10  (20.0 %)"]
    assert texts["Rate"] == ["31.2 kb/s"] * 2
    assert texts["Protected packets"] == ["none", "LBRR 71 %, RED 100 %"]
    assert texts["CPU"] == ["1.60 %"] * 2


def test_an_adaptive_delay_counts_its_changes(calls):
    changed = replace(calls["protected"], delay_changes=[(1.0, 80.0), (2.0, 60.0)], playout_delay_ms=60.0)
    rows = [row for group in table(calls | {"protected": changed}, {}, []) for row in group["rows"]]
    assert ["100 ms", "60 ms, 2 changes"] in [row["values"] for row in rows]


def test_stages_are_listed_in_the_order_of_the_speech(calls):
    stages = dict.fromkeys(["vocoder", "playout", "receive", "network", "encode"], 0.01)
    changed = {name: replace(result, cpu_seconds_per_second=stages) for name, result in calls.items()}
    rows = [row["name"] for group in table(changed, {}, []) for row in group["rows"] if row.get("minor")]
    assert rows == ["encode", "network", "receive", "playout", "vocoder"]


def test_settings_are_told_in_words_and_units():
    lines = dict(
        settings_lines(CallSettings(bitrate_bps=1_234_567.0, playout_delay_ms=None), {"codec": "libopus 1.6.1"})
    )
    assert lines["bitrate"] == "1234567 b/s"
    assert lines["playout delay"] == "adaptive"
    assert lines["expected loss"] == "auto"
    assert lines["loss"] == "none"
    assert lines["codec"] == "libopus 1.6.1"


def test_a_note_comes_in_the_place_of_its_setting():
    lines = settings_lines(SETTINGS, {"loss": "trace.txt", "input": "speech.flac"})
    assert lines[:2] == [("input", "speech.flac"), ("loss", "trace.txt")]
    assert dict(settings_lines(SETTINGS, {}))["loss"] == "Bernoulli, 20.0 % in the long run"


def test_a_source_that_nobody_has_named_has_a_colour_all_the_same():
    assert source_legend("telepathy")["name"] == "telepathy"
    assert len(source_legend("telepathy")["colour"]) == 3
