"""`vivavoce call`: a sound file through a lossy network, heard and measured."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from vivavoce.cli.options import (
    BURST_HELP,
    CONCEAL_HELP,
    JSON_HELP,
    LOSS_HELP,
    PROTECT_HELP,
    VOCODER_HELP,
    read_loss,
    read_number_or,
    warn,
)

if TYPE_CHECKING:
    from vivavoce.cli.microphone import Speech
    from vivavoce.concealment.concealer import Concealer
    from vivavoce.transport.call import CallResult, CallSettings


LOSSLESS = "lossless"


def call(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Any sound file; - is stdin.")],
    target: Annotated[str, typer.Argument(metavar="OUTPUT", help="Mono 16-bit WAV, as long as INPUT; - is stdout.")],
    loss: Annotated[str | None, typer.Option(help=LOSS_HELP)] = None,
    jitter: Annotated[float, typer.Option(help="Mean delay on the way, in ms.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of losses and jitter.", min=0)] = 0,
    bitrate: Annotated[float, typer.Option(help="All RTP payload, in b/s.")] = 32_000,
    expect_loss: Annotated[
        str, typer.Option(help="Loss in % the encoder prepares for; auto: that of --loss.")
    ] = "auto",
    expect_burst: Annotated[str, typer.Option(help=BURST_HELP + "the bursts of --loss.")] = "auto",
    protect: Annotated[str, typer.Option(help=PROTECT_HELP)] = "none",
    conceal: Annotated[str, typer.Option(help=CONCEAL_HELP)] = "neural",
    vocoder: Annotated[str | None, typer.Option(help=VOCODER_HELP)] = None,
    playout_delay: Annotated[str, typer.Option(help="From capture to playout in ms, or adaptive.")] = "100",
    sample_rate: Annotated[int, typer.Option(help="16000 or 48000.")] = 16_000,
    denoise: Annotated[bool, typer.Option("--denoise", help="Take noise out before it is sent.")] = False,
    model: Annotated[str | None, typer.Option(help="Of --denoise: a name, or a .vvm file.")] = None,
    noise: Annotated[str | None, typer.Option(help="A sound file that is mixed in first, over and over.")] = None,
    snr: Annotated[float | None, typer.Option(help="Of active speech over --noise, in dB.", min=-60, max=100)] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with sound and pictures into this folder.")] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="One more call on that page: lossless, or a protection, such as lbrr; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Send INPUT over a lossy network and write what is heard to OUTPUT."""
    from vivavoce.audio import PIPE, check_writable, write_wav
    from vivavoce.cli.microphone import Microphone
    from vivavoce.concealment.concealer import create_concealer, with_vocoder
    from vivavoce.transport.call import CallSettings, simulate_call
    from vivavoce.transport.forecast import LONGEST as MAX_BURST
    from vivavoce.transport.protection import MAX_DRED_MS, Protection
    from vivavoce.transport.receiver import MAX_PLAYOUT_DELAY_MS

    if target == PIPE and as_json:
        raise ValueError("OUTPUT - and --json both want stdout")
    settings = CallSettings(
        loss=None if loss is None else read_loss(loss),
        jitter_ms=jitter,
        seed=seed,
        bitrate_bps=bitrate,
        expected_loss_pct=read_number_or("auto", "--expect-loss", expect_loss, 0, 100),
        expected_burst=read_number_or("auto", "--expect-burst", expect_burst, 1, MAX_BURST),
        protection=Protection.parse(protect),
        conceal=with_vocoder(conceal, vocoder),
        playout_delay_ms=read_number_or("adaptive", "--playout-delay", playout_delay, 0, MAX_PLAYOUT_DELAY_MS),
        sample_rate=sample_rate,
    )
    beside = dict(_compared(text, settings) for text in compare or [])
    if beside and report is None:
        raise ValueError("--compare needs the page that it is for: --report")
    concealer = create_concealer(settings.conceal, sample_rate)  # a wrong name is found before the file is read
    microphone = Microphone(noise, snr, denoise=denoise, model=model)
    if target != PIPE:
        check_writable(target, force=force)
    if report is not None:
        from vivavoce.evaluation.report import check_report_folder

        check_report_folder(report, force=force)
    speech = microphone.capture(source, sample_rate)
    result = speech.counted(simulate_call(speech.sent, settings))
    reach_ms, delay_ms = settings.protection.dred_ms, settings.playout_delay_ms
    if delay_ms is not None and delay_ms < reach_ms < MAX_DRED_MS:
        warn(f"dred:{reach_ms} says no more than the last {delay_ms:g} ms: the rest has been played (--playout-delay)")
    for name, share in result.protection.items():
        if share == 0:
            warn(f"no packet carried {name}: {_why_none(name, result)}")
        elif result.slots.get("plc", 0) > len(result.slot_sources) // 20 and name not in result.slots:
            warn(f"{name} recovered nothing: {_why_useless(name, concealer)}")
    if result.lost == result.packets:
        warn("no packet arrived")
    elif "primary" not in result.slots:
        warn("no packet came in time: the playout delay is too short (--playout-delay)")
    page = None
    if report is not None:
        asked = {"input": source, "loss": loss or "none"}
        page = _write_report(report, asked, speech, result, settings, beside, force)
    write_wav(target, result.samples, sample_rate, force=force)
    if as_json:
        from vivavoce.redundancy.dred import MODEL

        dred = result.protection.get("dred")
        models = [*speech.models, *getattr(concealer, "model_names", ()), *[MODEL] * bool(dred)]
        print(json.dumps(_summary(result, settings, page) | speech.summary | {"models": models}))
    else:
        _print_table(result, speech, page, sys.stderr if target == PIPE else sys.stdout)


def _why_none(name: str, result: CallResult) -> str:
    if name == "dred":
        none = result.redundancy.get("dred", {}).get("none")  # type: ignore[attr-defined]
        return ", or ".join(none) if none else "the call is too short"
    if name == "lbrr" and result.expected_loss_pct < 0.5:
        return "Opus writes none while it expects no loss (--expect-loss)"
    if name == "lbrr":
        return "the rate is too low for it, or nobody speaks"
    return "the call is too short"


def _why_useless(name: str, concealer: Concealer) -> str:
    if name == "dred" and not concealer.listens:
        return "only neural concealment makes speech of it (--conceal)"
    return "the playout delay may be too short for it (--playout-delay)"


def _summary(result: CallResult, settings: CallSettings, page: Path | None) -> dict[str, object]:
    summary: dict[str, object] = {
        "duration_s": result.duration_s,
        "packets": result.packets,
        "lost": result.lost,
        "bitrate_bps": round(result.bitrate_bps, 1),
        "expected_loss_pct": round(result.expected_loss_pct, 3),
        "slots": result.slots,
        "reasons": result.stats.as_dict()["reasons"],
        "protection": {name: round(share, 4) for name, share in result.protection.items()},
        "redundancy": result.redundancy,
        "playout_delay_ms": round(result.playout_delay_ms, 3),
        "cpu_seconds_per_second": {
            stage: round(seconds, 6) for stage, seconds in result.cpu_seconds_per_second.items()
        },
        "conceal": settings.conceal,
        "codec": result.codec,
    }
    if settings.playout_delay_ms is None:
        summary["delay_changes"] = [[round(time, 3), round(delay, 1)] for time, delay in result.delay_changes]
    if page is not None:
        summary["report"] = str(page)
    return summary


def _compared(text: str, settings: CallSettings) -> tuple[str, CallSettings]:
    """Another call beside this one, and its name, also of files.

    Raises:
        ValueError: It is neither lossless nor a protection.
    """
    from vivavoce.transport.call import unprotected
    from vivavoce.transport.protection import Protection

    if text == LOSSLESS:
        return text, replace(unprotected(settings), loss=None, expected_loss_pct=0.0)
    protection = Protection.parse(text)
    return re.sub("[:,]", "-", str(protection)), replace(settings, protection=protection)


def _write_report(
    folder: Path,
    asked: dict[str, str],
    speech: Speech,
    result: CallResult,
    settings: CallSettings,
    beside: dict[str, CallSettings],
    force: bool,
) -> Path:
    from vivavoce.audio import resample
    from vivavoce.errors import MissingExtraError
    from vivavoce.evaluation.metrics import METRIC_SAMPLE_RATE, METRICS, metrics_named, score_clip
    from vivavoce.evaluation.report import write_report
    from vivavoce.evaluation.report_text import PROTECTED, UNPROTECTED
    from vivavoce.transport.call import simulate_call, unprotected

    calls = {name: speech.counted(simulate_call(speech.sent, each)) for name, each in beside.items()}
    plain = speech.counted(simulate_call(speech.sent, unprotected(settings)))
    sounds = {UNPROTECTED: plain, **calls, PROTECTED: result}
    reference, *heard = (
        resample(samples, settings.sample_rate, METRIC_SAMPLE_RATE)
        for samples in (speech.original, *(call.samples for call in sounds.values()))
    )
    scores: dict[str, dict[str, float]] = {}
    try:
        metrics = metrics_named(tuple(METRICS))
        for name, degraded in zip(sounds, heard, strict=True):
            values = score_clip(metrics, reference, degraded).values
            scores[name] = {METRICS[metric].label: value for metric, value in values.items()}
    except MissingExtraError as error:
        warn(f"the report has no scores: {error}")
    return write_report(
        folder,
        speech.original,
        plain,
        result,
        settings,
        force=force,
        metrics=scores or None,
        notes=asked | speech.notes | {"codec": result.codec},
        before=speech.stages,
        beside={name: (call, str(beside[name].protection)) for name, call in calls.items()},
    )


def _print_table(result: CallResult, speech: Speech, page: Path | None, stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    lost_pct = 100 * result.lost / max(1, result.packets)
    slots = ", ".join(f"{source} {count}" for source, count in result.slots.items())
    cpu = ", ".join(f"{stage} {100 * seconds:.2f} %" for stage, seconds in result.cpu_seconds_per_second.items())
    table.add_row("duration", f"{result.duration_s:.2f} s")
    for name, note in speech.notes.items():
        table.add_row(name, note)
    table.add_row("packets", f"{result.packets}, {result.lost} lost ({lost_pct:.1f} %)")
    table.add_row("rate", f"{result.bitrate_bps / 1000:.1f} kb/s of RTP payload")
    table.add_row("expected loss", f"{result.expected_loss_pct:.1f} %")
    for name, share in result.protection.items():
        table.add_row(name, f"in {100 * share:.0f} % of the packets")
    if why := result.redundancy.get("because"):
        table.add_row("chosen", f"{result.redundancy['using']}: {why}")
    table.add_row("slots", slots)
    table.add_row("playout delay", f"{result.playout_delay_ms:.0f} ms")
    table.add_row("CPU", cpu)
    table.add_row("codec", result.codec)
    if page is not None:
        table.add_row("report", str(page))
    Console(file=stream, highlight=False, soft_wrap=True).print(table)
