"""What redundancy does to speech, lost spans alone and words; and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from report import Report, one_core

from vivavoce._core import DredEncoder, Model
from vivavoce.evaluation.clips import Clip
from vivavoce.evaluation.metrics import METRICS
from vivavoce.evaluation.rates import equal_rate
from vivavoce.evaluation.selection import NamedLoss
from vivavoce.evaluation.statistics import mean_interval
from vivavoce.models import find_model
from vivavoce.redundancy.dred import MODEL
from vivavoce.redundancy.payload import LEVELS
from vivavoce.signal.cepstrum import SAMPLE_RATE
from vivavoce.transport.call import CallSettings, encode_rate, simulate_call
from vivavoce.transport.loss import LossModel
from vivavoce.transport.protection import Protection
from vivavoce.transport.sender import Sender

DELAY_MS = 1100.0
SLOT = SAMPLE_RATE // 50
SECOND_CHUNKS = 25
SECOND_LEVELS = ((6, 2), (9, 2), (10, 2), (10, 0), (12, 0), (15, 0))  # first level and index of the slope
TURNS = 7
SPEED_RATE_BPS = 32_000


def _calls(clips: Sequence[Clip], rate: int, loss: LossModel | None, protection: str) -> list[tuple[Clip, object]]:
    """Calls at a measured rate, the first lost packet of each clip another."""
    settings = CallSettings(
        loss=loss,
        bitrate_bps=rate,
        protection=Protection.parse(protection),
        conceal="neural",
        playout_delay_ms=DELAY_MS,
        sample_rate=SAMPLE_RATE,
    )
    seconds = [clip.duration_s for clip in clips]

    def measure(target: int) -> float:
        at = replace(settings, bitrate_bps=target)
        return float(np.average([encode_rate(clip.samples, at) for clip in clips], weights=seconds))

    settings = replace(settings, bitrate_bps=equal_rate(rate, measure).target_bps)
    return [(clip, simulate_call(clip.samples, replace(settings, seed=n))) for n, clip in enumerate(clips)]


def lost_spans(
    clips: Sequence[Clip], rates: Sequence[int], loss: LossModel, protections: Sequence[str]
) -> Iterator[Report]:
    """ESTOI of what was lost alone, cut out and joined over all clips."""
    rows = []
    for rate in rates:
        for protection in protections:
            spans = []
            for clip, call in _calls(clips, rate, loss, protection):
                lost = np.repeat(call.lost_packets, SLOT)[: len(clip.samples)]
                lost = np.pad(lost, (0, len(clip.samples) - len(lost)))
                spans.append((clip.samples[lost], call.samples[lost]))
            without = [_joined(spans[:n] + spans[n + 1 :]) for n in range(len(spans))]
            spread = (len(spans) - 1) / len(spans) * np.sum((np.array(without) - np.mean(without)) ** 2)
            rows.append({"rate": f"{rate // 1000} kb/s", "protection": protection, "estoi": _joined(spans)})
            rows[-1]["interval"] = 1.96 * float(np.sqrt(spread))
    columns = {"rate": "rate", "protection": "protection", "estoi": "ESTOI", "interval": "± (jackknife over clips)"}
    title = f"Lost spans of 500 ms alone, {len(clips)} clips"
    yield Report("lost", title, columns, rows, decimals={"estoi": 3, "interval": 3})


def _joined(spans: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    truth, heard = (np.concatenate(parts) for parts in zip(*spans, strict=True))
    return METRICS["estoi"].score(truth, heard)


def words(
    clips: Sequence[Clip], rates: Sequence[int], losses: Sequence[NamedLoss], protections: Sequence[str]
) -> Iterator[Report]:
    """Word errors against what the recogniser makes of the unprotected call without loss; paired with PLC's."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")

    def transcript(samples: np.ndarray) -> list[str]:
        decoder.start_utt()
        decoder.process_raw(np.round(32_767 * np.clip(samples, -1, 1)).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        return decoder.hyp().hypstr.split() if decoder.hyp() else []

    rows = []
    for rate in rates:
        truth = [transcript(call.samples) for _, call in _calls(clips, rate, None, "none")]
        for loss in losses:
            plain: list[float] = []
            for protection in protections:
                heard = [transcript(call.samples) for _, call in _calls(clips, rate, loss.model, protection)]
                errors = [100 * _distance(a, b) / max(1, len(a)) for a, b in zip(truth, heard, strict=True)]
                plain = plain or errors
                fewer = mean_interval(np.subtract(errors, plain))
                rows.append({"rate": f"{rate // 1000} kb/s", "loss": loss.name, "protection": protection})
                rows[-1] |= {"errors": mean_interval(errors), "fewer": fewer if protection != "none" else None}
    columns = {"rate": "rate", "loss": "loss", "protection": "protection", "errors": "word errors, %"}
    columns["fewer"] = "against PLC's"
    yield Report("words", f"Words, {len(clips)} clips", columns, rows, decimals={"errors": 1, "fewer": 1})


def _distance(truth: Sequence[str], heard: Sequence[str]) -> int:
    """V. Levenshtein's: words inserted, left out or replaced."""
    costs = np.arange(len(heard) + 1)
    for word in truth:
        before, costs = costs, costs + 1
        costs[1:] = np.minimum(costs[1:], before[:-1] + [word != other for other in heard])
        costs = np.minimum.accumulate(costs - np.arange(len(costs))) + np.arange(len(costs))
    return int(costs[-1])


def second(clips: Sequence[Clip]) -> Iterator[Report]:
    """The rate of one whole second of redundancy in every packet of 20 ms."""
    model, rows = Model(str(find_model(MODEL))), []
    for first, slope in SECOND_LEVELS:
        rates = []
        for clip in clips:
            encoder, sizes = DredEncoder(model), []
            for begin in range(0, len(clip.samples) - SLOT, SLOT):
                encoder.push(clip.samples[begin : begin + SLOT])
                if begin >= SAMPLE_RATE:
                    sizes.append(len(encoder.write(0, 6, first, slope, LEVELS - 1, SECOND_CHUNKS)))
            rates.append(8 * 50 * float(np.mean(sizes)) / 1000)
        rows.append({"levels": f"{first}, slope {slope}", "rate": mean_interval(rates)})
    columns = {"levels": "first level", "rate": "kb/s"}
    yield Report("second", f"One second in every packet, {len(clips)} clips", columns, rows, decimals={"rate": 1})


def speed(samples: np.ndarray) -> Iterator[Report]:
    """Sending with and without descriptions of the past, Opus at the same rate, in turns on one core."""
    seconds = len(samples) // SLOT / 50
    opus_bps = _sender("dred", SPEED_RATE_BPS).redundancy["opus_bps"]
    rates = {"none": float(opus_bps), "dred": SPEED_RATE_BPS}
    used = {name: [] for name in rates}
    with one_core():
        for _ in range(TURNS):
            for name, times in used.items():
                sender = _sender(name, rates[name])
                start = time.thread_time()
                for begin in range(0, len(samples) - SLOT + 1, SLOT):
                    sender.send(samples[begin : begin + SLOT])
                times.append(100 * (time.thread_time() - start) / seconds)
    plain, described = (float(np.median(times)) for times in used.values())
    row = {"rate": f"{SPEED_RATE_BPS // 1000} kb/s", "plain": plain, "dred": described, "more": described - plain}
    columns = {"rate": "rate", "plain": "Opus alone, CPU %", "dred": "with DRED", "more": "more"}
    yield Report(
        "speed", f"Sending, {TURNS} runs", columns, [row], decimals=dict.fromkeys(("plain", "dred", "more"), 3)
    )


def _sender(protection: str, rate: float) -> Sender:
    return Sender(
        sample_rate=SAMPLE_RATE, bitrate_bps=rate, protection=Protection.parse(protection), expected_loss_pct=20
    )
