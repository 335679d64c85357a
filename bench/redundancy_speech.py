"""What redundancy does to speech: lost spans alone, words, levels of the RDO-VAE; and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from report import Report, one_core

from vivavoce._core import DredEncoder, DredReader, Model, speech_features
from vivavoce.evaluation.clips import Clip
from vivavoce.evaluation.metrics import METRICS
from vivavoce.evaluation.rates import equal_rate
from vivavoce.evaluation.selection import NamedLoss
from vivavoce.evaluation.statistics import mean_interval
from vivavoce.models import find_model
from vivavoce.redundancy.dred import MODEL
from vivavoce.redundancy.payload import LEVELS, MAX_CHUNKS
from vivavoce.signal.cepstrum import BARK_BANDS, HOP, PITCH, SAMPLE_RATE, VOICING, dct_matrix
from vivavoce.transport.call import CallSettings, encode_rate, simulate_call
from vivavoce.transport.loss import LossModel
from vivavoce.transport.protection import Protection
from vivavoce.transport.sender import Sender
from vivavoce.vocoder.synthesis import synthesise

VOCODER = "fargan-base-v1"
DELAY_MS = 1100.0
SLOT = SAMPLE_RATE // 50
FRAMES = 4 * MAX_CHUNKS  # of 10 ms, that a payload describes
HEAD_BITS = 8 * 4 + 27  # of a payload, before the state; a fraction of a byte at the end is counted among the chunks
CHUNKS_PER_SECOND = 25
ACTIVE = 3.0  # of the first cepstral coefficient, below the loudest frame, within which bands are compared
VOICED, GROSS_OCTAVES = 0.1, 0.263  # of the voicing feature; a fifth of the frequency
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


def levels(clips: Sequence[Clip]) -> Iterator[Report]:
    """Rate and distortion of every level, from real payloads of 1.04 seconds."""
    model, vocoder, rows = _model(MODEL), _model(VOCODER), []
    for level in (None, *range(0, LEVELS, 3)):
        bits, states, scores = [], [], []
        for clip in clips:
            truth = speech_features(clip.samples, len(clip.samples) // HOP)
            whole = len(truth) // FRAMES * FRAMES
            made = truth[:whole].copy()
            if level is not None:
                made, latent_bits, state_bits = _described(model, clip.samples, whole, level)
                bits.append(latent_bits)
                states.append(state_bits)
            scores.append(_fidelity(clip.samples[: whole * HOP], truth[:whole], made, vocoder))
        row = {name: mean_interval([score[name] for score in scores]) for name in scores[0]}
        kinds = {"bits": mean_interval(bits) if bits else None, "state": mean_interval(states) if states else None}
        rows.append({"level": "true features" if level is None else str(level)} | kinds | row)
    columns = {"level": "level", "bits": "b/s", "state": "state, bits", "bands": "bands, dB", "pitch": "pitch, cents"}
    columns |= {"gross": "gross, %", "voicing": "voicing", "pesq": "PESQ-WB", "estoi": "ESTOI"}
    decimals = {"bits": 0, "state": 0, "pitch": 0, "gross": 1, "voicing": 3, "estoi": 3}
    note = "Pauses and all. Tables of libopus 1.6.1 at 0 / 6 / 15: 1,618 / 637 / 84 b/s, states 158 / 98 / 43 bits."
    yield Report("levels", f"Levels of the RDO-VAE, {len(clips)} clips", columns, rows, [note], decimals)


def _described(model: Model, samples: np.ndarray, frames: int, level: int) -> tuple[np.ndarray, float, float]:
    """Features as they are decoded, b/s of latent vectors, and bits of a state."""
    encoder, parts, latents, states = DredEncoder(model), [], [], []
    for begin in range(0, frames, FRAMES):
        encoder.push(samples[begin * HOP : (begin + FRAMES) * HOP])
        long = encoder.write(0, 0, level, 0, level, MAX_CHUNKS)
        short = encoder.write(0, 0, level, 0, level, 1)
        reader = DredReader(model, long)
        parts += [reader.features(chunk) for chunk in range(reader.chunks - 1, -1, -1)]
        latents.append(8 * (len(long) - len(short)) / (reader.chunks - 1))
        states.append(8 * len(short) - HEAD_BITS - latents[-1])
    return np.concatenate(parts), CHUNKS_PER_SECOND * float(np.mean(latents)), float(np.mean(states))


def _fidelity(samples: np.ndarray, truth: np.ndarray, made: np.ndarray, vocoder: Model) -> dict[str, float]:
    missing = len(truth) - len(made)  # the first payload has no latent vector for the very beginning
    truth, samples = truth[missing:], samples[missing * HOP :]
    error = made - truth
    active = truth[:, 0] > truth[:, 0].max() - ACTIVE
    voiced = truth[:, VOICING] > VOICED
    cents = 1200 * np.abs(error[voiced, PITCH])
    heard = synthesise(vocoder, np.ascontiguousarray(made))
    samples = samples[: len(heard)]
    return {
        "bands": 10 * float(np.sqrt(np.mean((error[active, :BARK_BANDS] @ dct_matrix()) ** 2))),
        "pitch": float(cents.mean()),
        "gross": 100 * float((cents > 1200 * GROSS_OCTAVES).mean()),
        "voicing": float(np.abs(error[:, VOICING]).mean()),
        "pesq": METRICS["pesq"].score(samples, heard[: len(samples)]),
        "estoi": METRICS["estoi"].score(samples, heard[: len(samples)]),
    }


def second(clips: Sequence[Clip]) -> Iterator[Report]:
    """The rate of one whole second of redundancy in every packet of 20 ms."""
    model, rows = _model(MODEL), []
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


def _model(name: str) -> Model:
    return Model(str(find_model(name)))
