import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vivavoce.evaluation import call
from vivavoce.evaluation.call import CallGrid, Configuration, NamedLoss, run_calls
from vivavoce.evaluation.clips import Clip
from vivavoce.evaluation.results import ResultFile
from vivavoce.transport.loss import Bernoulli, RecordedTrace
from vivavoce.transport.protection import Protection

SPEECH = soundfile.read(Path(__file__).parent.parent / "data" / "speech-16k.flac", dtype="float32")[0]
CLIPS = [Clip(f"c/{number}", SPEECH[number * 32_000 : (number + 1) * 32_000]) for number in range(3)]
PACKETS = 100  # of a clip
TRACE = np.random.default_rng(0).random(130) < 0.3
CONFIGURATIONS = [Configuration(Protection.parse(text), 32_000) for text in ("none", "red:1")]
PROGRAM = "import vivavoce.cli; vivavoce.cli.main()"


@dataclass
class FakeResult:
    samples: np.ndarray
    lost: int
    packets: int = PACKETS
    bitrate_bps: float = 32_000.0
    expected_loss_pct: float = 0.0
    slots: dict = field(default_factory=dict)
    protection: dict = field(default_factory=dict)
    cpu_seconds_per_second: dict = field(default_factory=dict)


@pytest.fixture
def calls(monkeypatch):
    """Calls that take no time: lost slots are silent, and the encoder gives a tenth more than its target."""
    made = []

    def simulate(samples, settings):
        made.append(settings)
        lost = np.fromiter(islice(settings.loss.stream(settings.seed), PACKETS), dtype=bool)
        heard = samples.reshape(PACKETS, -1) * ~lost[:, None]
        return FakeResult(heard.ravel(), int(lost.sum()))

    monkeypatch.setattr(call, "simulate_call", simulate)
    monkeypatch.setattr(call, "encode_rate", lambda samples, settings: 1.1 * settings.bitrate_bps)
    return made


def grid(losses=None, **changes):
    losses = losses or [NamedLoss("trace", RecordedTrace(TRACE))]
    return CallGrid(**{"configurations": CONFIGURATIONS, "losses": losses, "metrics": ("estoi",), **changes})


def losses_of(settings):
    return list(islice(settings.loss.stream(settings.seed), PACKETS))


def test_every_configuration_meets_the_same_losses_on_the_same_clip(calls):
    run_calls(grid([NamedLoss("20%", Bernoulli(0.2))]), CLIPS, ResultFile())
    none, red = calls[:3], calls[3:]
    assert [losses_of(settings) for settings in none] == [losses_of(settings) for settings in red]
    assert losses_of(none[0]) != losses_of(none[1])
    assert [str(settings.protection) for settings in calls] == ["none"] * 3 + ["red:1"] * 3


def test_clips_are_parts_of_one_call_over_the_whole_trace(calls):
    run_calls(grid(configurations=CONFIGURATIONS[:1]), CLIPS, ResultFile())
    heard = [lost for settings in calls for lost in losses_of(settings)]
    assert heard == np.resize(TRACE, 3 * PACKETS).tolist()


def test_a_trace_may_begin_anew_with_each_clip(calls):
    run_calls(grid(restart_trace=True), CLIPS, ResultFile())
    assert {tuple(losses_of(settings)) for settings in calls} == {tuple(TRACE[:PACKETS].tolist())}


def test_the_encoder_expects_the_loss_rate_of_the_model_unless_told(calls):
    run_calls(grid(), CLIPS, ResultFile())
    assert {settings.expected_loss_pct for settings in calls} == {100 * TRACE.mean()}
    calls.clear()
    run_calls(grid(expected_loss_pct=5.0), CLIPS, ResultFile())
    assert {settings.expected_loss_pct for settings in calls} == {5.0}


def test_calls_are_made_at_the_target_that_gives_the_rate_of_the_column(calls):
    cells = run_calls(grid(), CLIPS, ResultFile())
    assert {settings.bitrate_bps for settings in calls} == {29_091}
    assert all(cell.rate.reached and cell.rate.measured_bps == pytest.approx(32_000, rel=1e-4) for cell in cells)


def test_records_come_back_in_the_order_of_the_clips(calls):
    cells = run_calls(grid(), CLIPS, ResultFile())
    assert [[record["clip"] for record in cell.records] for cell in cells] == [["c/0", "c/1", "c/2"]] * 2
    record = cells[1].records[0]
    assert (record["configuration"], record["bitrate_bps"], record["loss"]) == ("red:1", 32_000, "trace")
    assert record["clip_sha256"] == CLIPS[0].sha256
    assert 0 < record["scores"]["estoi"] < 1


def test_what_is_measured_is_not_measured_again(calls, tmp_path):
    with ResultFile(tmp_path / "out.jsonl") as results:
        first = run_calls(grid(), CLIPS[:2], results)
    calls.clear()
    with ResultFile(tmp_path / "out.jsonl") as results:
        again = run_calls(grid(), CLIPS[:2], results)
    assert not calls
    assert [cell.records for cell in again] == [cell.records for cell in first]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"seed": 1}, id="seed"),
        pytest.param({"jitter_ms": 10.0}, id="jitter"),
        pytest.param({"expected_loss_pct": 3.0}, id="expected loss"),
        pytest.param({"metrics": ("pesq",)}, id="metrics"),
        pytest.param({"losses": [NamedLoss("trace", RecordedTrace(~TRACE))]}, id="another trace of the same name"),
        pytest.param({"configurations": [Configuration(Protection(), 32_000, conceal="silence")]}, id="concealment"),
        pytest.param({"configurations": [Configuration(Protection(), 32_000, playout_delay_ms=60.0)]}, id="delay"),
    ],
)
def test_another_setting_is_measured_anew(calls, changes):
    results = ResultFile()
    run_calls(grid(configurations=CONFIGURATIONS[:1]), CLIPS[:1], results)
    calls.clear()
    run_calls(grid(**{"configurations": CONFIGURATIONS[:1], **changes}), CLIPS[:1], results)
    assert len(calls) == 1


def test_progress_counts_what_was_measured_before(calls):
    results, seen = ResultFile(), []
    run_calls(grid(configurations=CONFIGURATIONS[:1]), CLIPS, results)
    run_calls(grid(), CLIPS, results, progress=lambda *state: seen.append(state))
    assert [state for state in seen if state[0] == "calls"] == [("calls", done, 6) for done in (3, 4, 5, 6)]
    assert seen[-1] == ("calls", 6, 6)


@pytest.mark.parametrize(
    "empty",
    [
        pytest.param({"configurations": []}, id="no configuration"),
        pytest.param({"losses": ()}, id="no loss"),
    ],
)
def test_nothing_to_run_is_refused(calls, empty):
    arguments = {"configurations": CONFIGURATIONS, "losses": [NamedLoss("20%", Bernoulli(0.2))], **empty}
    with pytest.raises(ValueError, match="at least one configuration, one loss and one clip"):
        run_calls(CallGrid(**arguments), CLIPS, ResultFile())


def measured(path):
    """All records of a file by key; what was measured, not how long it took."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return {record["key"]: {**record, "cpu_seconds_per_second": None} for record in records}


def test_a_killed_run_goes_on_to_the_same_result(tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(6):
        soundfile.write(clips / f"{number}.wav", SPEECH[number * 16_000 : (number + 1) * 16_000], 16_000)

    def command(name):
        options = "--loss 20% --protect none --protect red:1 --metrics estoi --bitrate 24000,32000 --jobs 2 --json"
        program = [sys.executable, "-c", PROGRAM, "evaluate", "call", str(clips), "--out", str(tmp_path / name)]
        return program + options.split()

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    whole = subprocess.run(command("whole.jsonl"), env=environment, capture_output=True, text=True, check=True)
    assert len(whole.stdout.splitlines()) == 4

    killed = tmp_path / "killed.jsonl"
    process = subprocess.Popen(command(killed.name), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: killed.exists() and killed.read_bytes().count(b'"kind": "call"') >= 4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = measured(killed)
    assert len(before) < len(measured(tmp_path / "whole.jsonl"))

    again = subprocess.run(command(killed.name), env=environment, capture_output=True, text=True, check=True)
    assert again.stdout == whole.stdout
    assert again.stderr == ""
    assert measured(killed) == measured(tmp_path / "whole.jsonl")
    assert before.items() <= measured(killed).items()


def wait_until(condition, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
