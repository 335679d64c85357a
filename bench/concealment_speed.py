"""What neural concealment costs: the vocoder, a call in which nothing is lost, and the first frames of a gap.

Thread CPU time, on one pinned core. The calls with and without neural concealment take turns, so that other load meets
both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from report import Report, one_core

from vivavoce._core import Concealer, Model, VocoderNetwork, speech_features
from vivavoce.audio import resample
from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.concealment.concealer import create_concealer
from vivavoce.concealment.neural import PREDICTOR, VOCODER
from vivavoce.models import find_model
from vivavoce.signal.cepstrum import HOP, SAMPLE_RATE

RATES = (16_000, 48_000)
TURNS = 5
GAPS = 40
PACE_S = 0.005  # sleep before a gap whose caches are cold
CACHE_BYTES = 64 << 20  # more than the last level of caches holds
FRAMES_PER_SECOND = 100
FORESEEN_MS = 60  # of what is behind a gap


def speed(samples: np.ndarray) -> Iterator[Report]:
    """All of it, on one clip of speech at 16 kHz, shape (samples,)."""
    with one_core():
        yield _vocoder(samples)
        yield _nothing_lost(samples)
        yield _worst_frames(samples)


def _vocoder(samples: np.ndarray) -> Report:
    features = speech_features(samples, len(samples) // HOP)
    vocoder = VocoderNetwork(_model(VOCODER))
    shares = [_thread_s(lambda: vocoder.synthesise(features)) * FRAMES_PER_SECOND / len(features) for _ in range(TURNS)]
    row = {"model": VOCODER, "cpu_pct": 100 * float(np.median(shares)), "most": 100 * max(shares)}
    columns = {"model": "model", "cpu_pct": "CPU %, median", "most": "most"}
    return Report("speed", f"Continuous synthesis, {TURNS} runs", columns, [row], decimals={"cpu_pct": 3, "most": 3})


def _nothing_lost(samples: np.ndarray) -> Report:
    """Decoding, and what concealers add to it while all packets arrive."""
    rows: list[dict[str, Any]] = []
    for rate in RATES:
        speech = resample(samples, SAMPLE_RATE, rate)
        encoder, slot = OpusEncoder(rate, bitrate_bps=24_000), rate // 50
        packets = [encoder.encode(frame) for frame in speech[: len(speech) // slot * slot].reshape(-1, slot)]
        seconds = len(packets) / 50

        def decode(name: str, rate: int = rate, packets: list[bytes] = packets) -> Callable[[], None]:
            def run() -> None:
                decoder, concealer = OpusDecoder(rate), create_concealer(name, rate)
                for packet in packets:
                    concealer.receive(decoder.decode(packet))

            return run

        used = {name: [] for name in ("opus", "neural")}
        for _ in range(TURNS):
            for name, times in used.items():
                times.append(100 * _thread_s(decode(name)) / seconds)
        plain, neural = (float(np.median(times)) for times in used.values())
        rows.append({"rate": f"{rate // 1000} kHz", "plain": plain, "neural": neural, "more": neural - plain})
    columns = {"rate": "rate", "plain": "decode, CPU %", "neural": "with neural concealment", "more": "more"}
    return Report("speed", "Nothing lost", columns, rows, decimals=dict.fromkeys(("plain", "neural", "more"), 3))


def _worst_frames(samples: np.ndarray) -> Report:
    """The longest 10 ms of a gap in the core, and the longest slot of 20 ms of a call."""
    rows: list[dict[str, Any]] = []
    for rate in RATES:
        for cold in (False, True):
            core = [_longest(rate, samples, cold, slot_ms=10, through_decoder=False) for _ in range(TURNS)]
            call = [_longest(rate, samples, cold, slot_ms=20, through_decoder=True) for _ in range(TURNS)]
            pace = "paced, caches swept" if cold else "flat out"
            second = {"core": sorted(core)[-2], "call": sorted(call)[-2]}
            rows.append({"rate": f"{rate // 1000} kHz", "pace": pace, **second})
    columns = {"rate": "rate", "pace": "pace", "core": "10 ms made, ms", "call": "slot of 20 ms in a call, ms"}
    title = f"Longest of {GAPS} gaps, thread CPU, second-worst of {TURNS} runs"
    return Report("speed", title, columns, rows)


def _longest(rate: int, samples: np.ndarray, cold: bool, slot_ms: int, through_decoder: bool) -> float:
    slot = rate * slot_ms // 1000
    frames = iter(np.resize(resample(samples, SAMPLE_RATE, rate), GAPS * 10 * slot).reshape(-1, slot))
    encoder, decoder = OpusEncoder(rate, frame_ms=slot_ms, bitrate_bps=24_000), OpusDecoder(rate)
    whole, core = create_concealer("neural", rate), Concealer(*map(_model, (PREDICTOR, VOCODER)), rate)
    used = whole if through_decoder else core
    cache, longest = np.ones(CACHE_BYTES // 8), 0.0
    for _ in range(GAPS):
        for _ in range(8):
            decoded = decoder.decode(encoder.encode(next(frames)))
            used.receive(decoded)
        behind = np.resize(decoded, rate * FORESEEN_MS // 1000)

        def make(first: bool, behind: np.ndarray = behind) -> np.ndarray:
            if first:
                used.foresee(behind, 2 * slot)
            return whole.conceal(decoder, slot) if through_decoder else core.conceal(slot)

        for first in (True, False):
            encoder.encode(next(frames))
            if cold:
                time.sleep(PACE_S)
                cache += 1
            longest = max(longest, 1000 * _thread_s(partial(make, first)))
    return longest


def _model(name: str) -> Model:
    return Model(str(find_model(name)))


def _thread_s(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start
