"""Objective metrics of speech after a call or a denoiser, each computed by the library of those who know it best.

- PESQ-WB: ITU-T P.862.2, mean opinion 1.04 to 4.64 against the reference (package `pesq`).
- ESTOI: J. Jensen and C. H. Taal, "An algorithm for predicting the intelligibility of speech masked by modulated noise
  maskers" (IEEE/ACM TASLP 24, 2016), about 0 to 1 against the reference (package `pystoi`).
- STOI: C. H. Taal et al., "An algorithm for intelligibility prediction of time-frequency weighted noisy speech"
  (IEEE TASLP 19, 2011), about 0 to 1 against the reference (package `pystoi`).
- SI-SDR: J. Le Roux et al., "SDR - half-baked or well done?" (ICASSP 2019), in dB against the reference, at the rate of
  the clips; written out here, it is two lines.
- PLCMOS v2: L. Diener et al., "PLCMOS - a data-driven non-intrusive metric for the evaluation of packet loss
  concealment algorithms" (INTERSPEECH 2023), mean opinion 1 to 5 without a reference (package `speechmos`). It averages
  15 random raters.
- DNSMOS: C. K. A. Reddy et al., "DNSMOS P.835" (ICASSP 2022): speech, background and overall quality as in ITU-T P.835,
  and overall quality as in P.808, mean opinions 1 to 5 without a reference (package `speechmos`).

pystoi and PLCMOS draw from NumPy's global generator: it is seeded before each score, so that a clip has one score, and
put back as it was found afterwards. Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vivavoce.errors import MissingExtraError

METRIC_SAMPLE_RATE = 16_000  # all of these metrics but SI-SDR are wideband
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
        module: What to import of the package, where it is not called the same.
        any_rate: Whether `score` takes clips at their own rate instead of 16 kHz.
    """

    name: str
    label: str
    decimals: int
    package: str
    score: Callable[[np.ndarray, np.ndarray], float]
    module: str = ""
    any_rate: bool = False


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
    return _intelligibility(reference, degraded, extended=True)


def stoi(reference: np.ndarray, degraded: np.ndarray) -> float:
    """STOI of a clip; arguments and errors as `pesq_wb`."""
    return _intelligibility(reference, degraded, extended=False)


def _intelligibility(reference: np.ndarray, degraded: np.ndarray, extended: bool) -> float:
    library = _library("pystoi")
    if not reference.any():
        raise ValueError("the reference is silent")
    with warnings.catch_warnings(), _seeded():
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        try:
            return float(library.stoi(reference, degraded, METRIC_SAMPLE_RATE, extended=extended))
        except RuntimeWarning:
            raise ValueError("less than 384 ms of the reference is speech") from None


def plcmos(reference: np.ndarray, degraded: np.ndarray) -> float:
    """PLCMOS v2 of a clip, which needs no reference; arguments and errors as `pesq_wb`."""
    del reference
    with _seeded():
        return float(_plcmos_model()(degraded)["plcmos"])


def si_sdr(reference: np.ndarray, degraded: np.ndarray) -> float:
    """SI-SDR of a clip in dB: the energy of its part along the reference over that of all else.

    Args:
        reference: Shape (samples,), float32, any rate.
        degraded: Like `reference`, aligned with it to the sample.

    Raises:
        ValueError: One of them is silent, or they are equal up to a gain.
    """
    reference, degraded = reference.astype(np.float64), degraded.astype(np.float64)
    if not (reference.any() and degraded.any()):
        raise ValueError("the reference or the degraded clip is silent")
    target = reference * (reference @ degraded / (reference @ reference))
    rest = degraded - target
    target_energy, rest_energy = float(target @ target), float(rest @ rest)
    if rest_energy <= target_energy * np.finfo(np.float64).eps:
        raise ValueError("the degraded clip is the reference")
    if target_energy == 0:
        raise ValueError("nothing of the reference is in the degraded clip")
    return 10 * math.log10(target_energy / rest_energy)


def dnsmos(degraded: np.ndarray) -> dict[str, float]:
    """DNSMOS of a clip: `sig`, `bak` and `ovrl` of P.835, and `p808`.

    Args:
        degraded: Shape (samples,), float32, 16 kHz; what lies outside of [-1, 1] is clipped.

    Raises:
        MissingExtraError: The package is not installed.
    """
    return dict(_dnsmos_of_bytes(np.clip(degraded, -1, 1).astype(np.float32).tobytes()))


@lru_cache(maxsize=2)
def _dnsmos_of_bytes(samples: bytes) -> dict[str, float]:
    """Score once what four metrics ask for one after the other, of one clip or of two in turn."""
    scores = _dnsmos_model()(np.frombuffer(samples, np.float32), METRIC_SAMPLE_RATE, is_personalized_MOS=False)
    return {name.removesuffix("_mos"): float(scores[name]) for name in ("sig_mos", "bak_mos", "ovrl_mos", "p808_mos")}


def _dnsmos_metric(name: str, label: str) -> Metric:
    return Metric(name, label, 2, "speechmos", lambda reference, degraded: dnsmos(degraded)[name], "speechmos.dnsmos")


METRICS: dict[str, Metric] = {  # of a call
    metric.name: metric
    for metric in (
        Metric("plcmos", "PLCMOS", 2, "speechmos", plcmos, "speechmos.plcmos"),
        Metric("pesq", "PESQ-WB", 2, "pesq", pesq_wb),
        Metric("estoi", "ESTOI", 3, "pystoi", estoi),
    )
}
ENHANCEMENT_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        METRICS["pesq"],
        Metric("stoi", "STOI", 3, "pystoi", stoi),
        METRICS["estoi"],
        Metric("si_sdr", "SI-SDR", 1, "numpy", si_sdr, any_rate=True),
        _dnsmos_metric("sig", "SIG"),
        _dnsmos_metric("bak", "BAK"),
        _dnsmos_metric("ovrl", "OVRL"),
        _dnsmos_metric("p808", "P808"),
    )
}


def metrics_named(names: Sequence[str], known: Mapping[str, Metric] = METRICS) -> tuple[Metric, ...]:
    """Find metrics by name, and make sure that what they need is installed.

    Args:
        names: Which.
        known: Those to choose from, by name.

    Raises:
        ValueError: A name is unknown, or there is none.
        MissingExtraError: The package of a metric is not installed.
    """
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(f"metrics must be some of {', '.join(known)}, got {', '.join(unknown) or 'none'}")
    metrics = tuple(known[name] for name in dict.fromkeys(names))
    for metric in metrics:
        _library(metric.module or metric.package)
    return metrics


def metric_versions(metrics: Sequence[Metric]) -> dict[str, str]:
    """Name the software behind each metric, such as `{"pesq": "pesq 0.0.4"}`."""
    return {metric.name: f"{metric.package} {importlib.metadata.version(metric.package)}" for metric in metrics}


def score_clip(
    metrics: Sequence[Metric],
    reference: np.ndarray,
    degraded: np.ndarray,
    sample_rate: int = METRIC_SAMPLE_RATE,
) -> Scores:
    """Score one clip by several metrics; a metric that has no value for it gives NaN and a reason.

    Args:
        metrics: Which.
        reference: Shape (samples,), float32 in [-1, 1].
        degraded: Like `reference`, aligned with it.
        sample_rate: Of both in Hz; another than 16 kHz only for metrics that take any.

    Raises:
        ValueError: The two are no clips of one length, or not finite.
    """
    if reference.ndim != 1 or reference.shape != degraded.shape:
        raise ValueError(f"reference {reference.shape} and degraded {degraded.shape} must both have shape (samples,)")
    if not (np.isfinite(reference).all() and np.isfinite(degraded).all()):
        raise ValueError("a clip with samples that are not finite has no scores")
    fixed = [metric.name for metric in metrics if not metric.any_rate]
    if fixed and sample_rate != METRIC_SAMPLE_RATE:
        raise ValueError(f"{', '.join(fixed)} need clips at {METRIC_SAMPLE_RATE} Hz, got {sample_rate} Hz")
    scores = Scores()
    for metric in metrics:
        try:
            if len(reference) < MIN_CLIP_S * sample_rate:
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
    """Load PLCMOS once per process."""
    model = _library("speechmos.plcmos").PLCMOS()
    model.session = _one_thread(model.model_path)
    return model


@lru_cache(maxsize=1)
def _dnsmos_model() -> Any:
    """Load DNSMOS once per process."""
    module = _library("speechmos.dnsmos")
    folder = Path(module.__file__ or "").parent / "dnsmos_models"
    model = module.DNSMOS.__new__(module.DNSMOS)  # its constructor would start threads on every core
    model.primary_model_path = str(folder / "sig_bak_ovr.onnx")
    model.onnx_sess = _one_thread(folder / "sig_bak_ovr.onnx")
    model.p808_onnx_sess = _one_thread(folder / "model_v8.onnx")
    return model


def _one_thread(path: str | Path) -> Any:
    """Open a model on one thread: clips are what is scored in parallel."""
    onnxruntime = _library("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("evaluate", (error.name or name).partition(".")[0]) from error
