"""Objective metrics of speech after a call, each computed by the library of those who know it best.

- PESQ-WB: ITU-T P.862.2, mean opinion 1.04 to 4.64 against the reference (package `pesq`).
- ESTOI: J. Jensen and C. H. Taal, "An algorithm for predicting the intelligibility of speech masked by modulated noise
  maskers" (IEEE/ACM TASLP 24, 2016), about 0 to 1 against the reference (package `pystoi`).
- PLCMOS v2: L. Diener et al., "PLCMOS - a data-driven non-intrusive metric for the evaluation of packet loss
  concealment algorithms" (INTERSPEECH 2023), mean opinion 1 to 5 without a reference (package `speechmos`). It averages
  15 random raters.

The last two draw from NumPy's global generator: it is seeded before each score, so that a clip has one score, and put
back as it was found afterwards. Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from vivavoce.errors import MissingExtraError

METRIC_SAMPLE_RATE = 16_000  # all of these metrics are wideband
MIN_CLIP_S = 0.5  # ESTOI looks at 384 ms of speech at once, PESQ needs 250 ms
METRIC_SEED = 0
PESQ_PIECE_S = 30.0  # the package has room for 50 utterances, and overruns its stack at more (seen at two minutes)


@dataclass(frozen=True)
class Metric:
    """One metric and how it is shown.

    Attributes:
        name: As users write it.
        label: As tables and plots write it.
        decimals: Digits that mean something.
        package: Distribution that computes it.
        score: From reference and degraded, both shape (samples,), float32 at 16 kHz; ValueError where it has no value.
    """

    name: str
    label: str
    decimals: int
    package: str
    score: Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Scores:
    """What the metrics say about one clip.

    Attributes:
        values: One figure per metric; NaN where the metric has no value for this clip.
        failures: Why, for each that is NaN.
    """

    values: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def pesq_wb(reference: np.ndarray, degraded: np.ndarray) -> float:
    """PESQ-WB of a clip; of one longer than `PESQ_PIECE_S`, the mean over equal pieces in which it finds speech.

    Args:
        reference: Shape (samples,), float32, 16 kHz.
        degraded: Like `reference`.

    Raises:
        ValueError: PESQ finds no utterance in one of them.
        MissingExtraError: The package is not installed.
    """
    count = math.ceil(len(reference) / (PESQ_PIECE_S * METRIC_SAMPLE_RATE))
    if count <= 1:
        return _pesq_of_piece(reference, degraded)
    scores = []
    for pair in zip(np.array_split(reference, count), np.array_split(degraded, count), strict=True):
        with suppress(ValueError):
            scores.append(_pesq_of_piece(*pair))
    if not scores:
        raise ValueError("no utterance found in any piece")
    return float(np.mean(scores))


def _pesq_of_piece(reference: np.ndarray, degraded: np.ndarray) -> float:
    library = _library("pesq")
    if not degraded.any():
        raise ValueError("the degraded clip is silent")
    try:
        return float(library.pesq(METRIC_SAMPLE_RATE, reference, degraded, "wb"))
    except library.PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def estoi(reference: np.ndarray, degraded: np.ndarray) -> float:
    """ESTOI of a clip; arguments and errors as `pesq_wb`."""
    library = _library("pystoi")
    if not reference.any():
        raise ValueError("the reference is silent")
    with warnings.catch_warnings(), _seeded():
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        try:
            return float(library.stoi(reference, degraded, METRIC_SAMPLE_RATE, extended=True))
        except RuntimeWarning:
            raise ValueError("less than 384 ms of the reference is speech") from None


def plcmos(reference: np.ndarray, degraded: np.ndarray) -> float:
    """PLCMOS v2 of a clip, which needs no reference; arguments and errors as `pesq_wb`."""
    del reference
    with _seeded():
        return float(_plcmos_model()(degraded)["plcmos"])


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("plcmos", "PLCMOS", 2, "speechmos", plcmos),
        Metric("pesq", "PESQ-WB", 2, "pesq", pesq_wb),
        Metric("estoi", "ESTOI", 3, "pystoi", estoi),
    )
}


def metrics_named(names: Sequence[str]) -> tuple[Metric, ...]:
    """Find metrics by name, and make sure that what they need is installed.

    Raises:
        ValueError: A name is unknown, or there is none.
        MissingExtraError: The package of a metric is not installed.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise ValueError(f"metrics must be some of {', '.join(METRICS)}, got {', '.join(unknown) or 'none'}")
    metrics = tuple(METRICS[name] for name in dict.fromkeys(names))
    for metric in metrics:
        _library("speechmos.plcmos" if metric.package == "speechmos" else metric.package)
    return metrics


def metric_versions(metrics: Sequence[Metric]) -> dict[str, str]:
    """Name the software behind each metric, such as `{"pesq": "pesq 0.0.4"}`."""
    return {metric.name: f"{metric.package} {importlib.metadata.version(metric.package)}" for metric in metrics}


def score_clip(metrics: Sequence[Metric], reference: np.ndarray, degraded: np.ndarray) -> Scores:
    """Score one clip by several metrics; a metric that has no value for it gives NaN and a reason.

    Args:
        metrics: Which.
        reference: Shape (samples,), float32 in [-1, 1], 16 kHz.
        degraded: Like `reference`, aligned with it.

    Raises:
        ValueError: The two are no clips of one length, or not finite.
    """
    if reference.ndim != 1 or reference.shape != degraded.shape:
        raise ValueError(f"reference {reference.shape} and degraded {degraded.shape} must both have shape (samples,)")
    if not (np.isfinite(reference).all() and np.isfinite(degraded).all()):
        raise ValueError("a clip with samples that are not finite has no scores")
    scores = Scores()
    for metric in metrics:
        try:
            if len(reference) < MIN_CLIP_S * METRIC_SAMPLE_RATE:
                raise ValueError(f"shorter than {MIN_CLIP_S} s")
            value = metric.score(reference, degraded)
            if not math.isfinite(value):
                raise ValueError("the result is not finite")
        except ValueError as error:
            scores.values[metric.name] = float("nan")
            scores.failures[metric.name] = str(error)
        else:
            scores.values[metric.name] = value
    return scores


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed NumPy's global generator, the one that the metrics draw from, and restore it afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(METRIC_SEED)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


@lru_cache(maxsize=1)
def _plcmos_model() -> Any:
    """Load PLCMOS once per process, on one thread: clips are what is scored in parallel."""
    model = _library("speechmos.plcmos").PLCMOS()
    onnxruntime = _library("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model.session = onnxruntime.InferenceSession(model.model_path, options, providers=["CPUExecutionProvider"])
    return model


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("evaluate", (error.name or name).partition(".")[0]) from error
