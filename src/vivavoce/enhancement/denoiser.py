"""The denoiser: PercepNet in the core, as a stream (`Denoiser`) and for whole recordings (`denoise`).

J.-M. Valin et al., "A perceptually-motivated approach for low-complexity, real-time enhancement of fullband speech"
(INTERSPEECH 2020). A model is a `.vvm` image; streams of one process share it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivavoce import _core
from vivavoce.audio import resample
from vivavoce.errors import ModelError
from vivavoce.models import find_model, load_model

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 480
DEFAULT_MODEL = "percepnet-small-v1"
DEFAULT_MODEL_LOW_DELAY = "percepnet-small-la0-v1"


@dataclass(frozen=True)
class FrameReport:
    """What a denoiser made out of its newest 20 ms, which begin with the frame that it returned last.

    Attributes:
        gains: Of the ERB bands, before the post-filter, shape (34,), float32, 0 to 1.
        strengths: Of the comb filter in each band, likewise.
        pitch_period: Samples at 48 kHz, 60 to 768; 0 before the look-ahead is filled.
        pitch_correlation: Normalised correlation of the noisy signal over that period, -1 to 1.
        voice_probability: 0 to 1.
    """

    gains: np.ndarray
    strengths: np.ndarray
    pitch_period: float
    pitch_correlation: float
    voice_probability: float


class Denoiser:
    """One stream of mono speech at 48 kHz that noise is taken out of: a `Processor`.

        denoiser = Denoiser()
        cleaned = denoiser.process(frame)  # 480 samples in, 480 out, 30 ms late

    It serves one thread at a time, except that settings and `voice_probability` serve any. Other streams may run in
    other threads, for the GIL is released. Other rates, blocks and sample types come in through `Reblocked`.

    Args:
        model: Name of a model of the package or path of a `.vvm` file; None is the default one.
        lookahead: False takes the default model that does not look ahead: 10 ms of delay instead of 30, less quality.
        attenuation_limit_db: See the attribute.

    Attributes:
        sample_rate: 48000.
        frame_samples: 480.
        delay_samples: 1440 for models that look ahead by 20 ms, 480 for those that do not.

    Raises:
        ModelError: The model is missing, damaged or made for something else.
        ValueError: `attenuation_limit_db` is negative, or `lookahead` is False for a `model` that looks ahead.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        lookahead: bool = True,
        attenuation_limit_db: float | None = None,
    ) -> None:
        if model is None:
            model = DEFAULT_MODEL if lookahead else DEFAULT_MODEL_LOW_DELAY
        path = find_model(model)
        shared = load_model(path)
        if not lookahead and shared.core.lookahead_frames:
            raise ValueError(f"lookahead must be True for {model}, which looks ahead")
        try:
            self._stream = _core.Denoiser(shared.core)
        except ValueError as error:
            raise ModelError(path, str(error)) from error
        self._shared = shared
        self.sample_rate = SAMPLE_RATE
        self.frame_samples = FRAME_SAMPLES
        self.delay_samples = self._stream.delay_samples
        self.attenuation_limit_db = attenuation_limit_db

    @property
    def model_name(self) -> str:
        """Name such as "percepnet-small-v1"."""
        return self._shared.core.name

    @property
    def attenuation_limit_db(self) -> float | None:
        """At most so much of the sound is taken away, by mixing the input back in; None is no limit.

        0 returns the input as it came, delayed. A change fades in over one frame.
        """
        limit = self._stream.attenuation_limit_db
        return None if math.isinf(limit) else limit

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, limit: float | None) -> None:
        self._stream.attenuation_limit_db = math.inf if limit is None else limit

    @property
    def enabled(self) -> bool:
        """Where it is False the input comes back as it came, at the same delay, while the stream goes on listening.

        A change fades in over one frame.
        """
        return self._stream.enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._stream.enabled = enabled

    @property
    def voice_probability(self) -> float:
        """That there is voice in the 20 ms which begin with the frame that was returned last; NaN before the first."""
        return self._stream.voice_probability

    def process(self, frame: np.ndarray) -> np.ndarray:
        """Take a frame and return the one that is due.

        Args:
            frame: Shape (480,), float32 in [-1, 1). What is beyond +-4 is limited, NaN and infinity count as 0.

        Returns:
            Shape (480,), float32; a little beyond +-1 where the input is near it.

        Raises:
            TypeError: `frame` is not float32.
            ValueError: `frame` has another shape.
            RuntimeError: Another thread is in a call of this stream.
        """
        if np.shape(frame) != (FRAME_SAMPLES,):
            raise ValueError(f"frame must have shape ({FRAME_SAMPLES},), got {np.shape(frame)}")
        return self._stream.process(frame)

    def last_frame(self) -> FrameReport:
        """What became of the newest frame, for meters and reports."""
        return FrameReport(*self._stream.report())

    def flush(self) -> np.ndarray:
        """The tail that the delay still holds, shape (delay_samples,), float32; then `reset`."""
        tail = self._stream.process(np.zeros(self.delay_samples, np.float32))
        self.reset()
        return tail

    def reset(self) -> None:
        """Forget the signal. Settings stay."""
        self._stream.reset()

    def copy(self) -> Denoiser:
        """A stream that goes on as this one would, with its settings."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._stream = self._stream.copy()
        return copy

    def __copy__(self) -> Denoiser:
        return self.copy()

    def __deepcopy__(self, memo: dict) -> Denoiser:
        return self.copy()

    def _process_all(self, samples: np.ndarray) -> np.ndarray:
        """A whole recording, shape (samples,), float32; aligned and as long."""
        whole = -(-(len(samples) + self.delay_samples) // FRAME_SAMPLES) * FRAME_SAMPLES
        padded = np.zeros(whole, np.float32)
        padded[: len(samples)] = samples
        output = self._stream.process(padded)
        self.reset()
        return output[self.delay_samples : self.delay_samples + len(samples)]


def denoise(
    samples: np.ndarray,
    sample_rate: int = SAMPLE_RATE,
    model: str | Path | None = None,
    *,
    lookahead: bool = True,
    attenuation_limit_db: float | None = None,
) -> np.ndarray:
    """Take the noise out of a recording: the loop over a `Denoiser` for each channel, aligned with the input.

    Args:
        samples: Shape (samples,) or (channels, samples), float in [-1, 1). NaN and infinity count as 0.
        sample_rate: Hz; what is not 48000 is resampled there and back, without delay.
        model: As of `Denoiser`, like what follows.
        lookahead: False for a model without look-ahead.
        attenuation_limit_db: At most so much of the sound is taken away; None is no limit.

    Returns:
        The same shape, float32.

    Raises:
        ModelError: The model is missing, damaged or made for something else.
        TypeError: `samples` is not of floats.
        ValueError: `samples` has another shape, or an argument is out of range.
    """
    samples = np.asarray(samples)
    if samples.dtype.kind != "f":
        raise TypeError(f"samples must be float, got {samples.dtype}")
    if samples.ndim not in (1, 2):
        raise ValueError(f"samples must have shape (samples,) or (channels, samples), got {samples.shape}")
    if sample_rate < 1:
        raise ValueError(f"sample_rate must be positive, got {sample_rate}")
    denoiser = Denoiser(model, lookahead=lookahead, attenuation_limit_db=attenuation_limit_db)
    output = np.zeros(samples.shape, np.float32)
    if not samples.size:
        return output
    for channel, out in zip(np.atleast_2d(samples), np.atleast_2d(output), strict=True):
        finite = np.where(np.isfinite(channel), channel, 0).astype(np.float32)
        cleaned = denoiser._process_all(resample(finite, sample_rate, SAMPLE_RATE))
        cleaned = resample(cleaned, SAMPLE_RATE, sample_rate)[: len(out)]  # a sample more or less: rounded twice
        out[: len(cleaned)] = cleaned
    return output
