"""What a call's sender is given: speech, with noise mixed in and taken out again where that is asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from vivavoce.errors import AudioFileError

if TYPE_CHECKING:
    from vivavoce.enhancement.denoiser import Denoiser
    from vivavoce.transport.call import CallResult

RATE = 48_000  # noise is mixed in and taken out at the rate of microphones, whatever is sent
PEAK = 0.99


@dataclass(frozen=True)
class Speech:
    """Speech before it is sent: all of one length, at the rate of the call.

    Attributes:
        original: As it was spoken, shape (samples,), float32.
        noisy: With noise; None where none was mixed in.
        cleaned: After the denoiser; None where there was none.
        notes: Lines for a report, by name.
        summary: What JSON says of it.
        models: Names of those that worked on it.
        cpu_seconds_per_second: Of the denoiser; empty where there was none.
    """

    original: np.ndarray
    noisy: np.ndarray | None = None
    cleaned: np.ndarray | None = None
    notes: dict[str, str] = field(default_factory=dict)
    summary: dict[str, object] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    cpu_seconds_per_second: dict[str, float] = field(default_factory=dict)

    @property
    def sent(self) -> np.ndarray:
        """What the sender gets."""
        if self.cleaned is not None:
            return self.cleaned
        return self.original if self.noisy is None else self.noisy

    @property
    def stages(self) -> dict[str, tuple[np.ndarray, str]]:
        """What a report plays between the original and the calls, with a note each."""
        stages = {}
        if self.noisy is not None:
            stages["noisy"] = self.noisy, self.notes["noise"]
        if self.cleaned is not None:
            stages["cleaned"] = self.cleaned, self.notes["denoiser"]
        return stages

    def counted(self, result: CallResult) -> CallResult:
        """The result of its call, with the CPU time of the denoiser."""
        return replace(result, cpu_seconds_per_second=self.cpu_seconds_per_second | result.cpu_seconds_per_second)


class Microphone:
    """Options of `call`, checked before any file is read.

    Args:
        noise: A sound file, repeated as long as the speech lasts; None mixes nothing in.
        snr_db: Active level of the speech (ITU-T P.56) over the mean level of the noise.
        denoise: Whether to take noise out.
        model: As of `Denoiser`.

    Raises:
        ModelError: The model is missing, damaged or made for something else.
        ValueError: Of two options that need each other one is missing.
    """

    def __init__(self, noise: str | None, snr_db: float | None, *, denoise: bool, model: str | None) -> None:
        if (noise is None) != (snr_db is None):
            raise ValueError("--noise and --snr need each other")
        if model is not None and not denoise:
            raise ValueError("--model is of --denoise")
        self._noise, self._snr_db, self._model = noise, snr_db, model
        self._denoiser = None
        if denoise:
            from vivavoce.enhancement.denoiser import Denoiser

            self._denoiser = Denoiser(model)

    def capture(self, source: str, sample_rate: int) -> Speech:
        """Read a file, and do to it what the options say; nothing is shifted against anything.

        Raises:
            AudioFileError: A file is no sound, or a silent one that is to be mixed.
            OSError: A file cannot be opened.
        """
        from vivavoce.audio import read_audio, resample

        clean, rate = read_audio(source)
        speech = Speech(resample(clean, rate, sample_rate))
        if self._noise is None and self._denoiser is None:
            return speech
        heard = resample(clean, rate, RATE)
        if self._noise is not None:
            heard, gain = self._mixed(heard, source, self._noise)
            noisy = _fitted(resample(heard, RATE, sample_rate), speech.original)
            note = f"{self._noise}, {self._snr_db:g} dB SNR"
            summary = {"noise": self._noise, "snr_db": self._snr_db}
            speech = Speech(gain * speech.original, noisy, None, {"noise": note}, summary)
        return speech if self._denoiser is None else self._denoised(heard, speech, sample_rate, self._denoiser)

    def _mixed(self, clean: np.ndarray, source: str, noise: str) -> tuple[np.ndarray, np.float32]:
        """Speech with noise, and the gain on the speech that keeps the sum below full scale."""
        from vivavoce.audio import read_audio
        from vivavoce.evaluation.mixing import active_level_db, level_db

        repeated = np.resize(read_audio(noise, RATE)[0], len(clean))
        speech_db, noise_db = active_level_db(clean, RATE), level_db(repeated)
        for path, level in ((source, speech_db), (noise, noise_db)):
            if not np.isfinite(level):
                raise AudioFileError(path, "is silent: there is no signal-to-noise ratio")
        noisy = clean + repeated * np.float32(10 ** ((speech_db - noise_db - (self._snr_db or 0)) / 20))
        gain = np.float32(min(1.0, PEAK / float(np.abs(noisy).max())))
        return gain * noisy, gain

    def _denoised(self, heard: np.ndarray, speech: Speech, sample_rate: int, denoiser: Denoiser) -> Speech:
        from vivavoce.audio import resample
        from vivavoce.enhancement.denoiser import denoise

        began = time.thread_time()
        cleaned = denoise(heard, RATE, self._model)
        seconds = time.thread_time() - began
        name = denoiser.model_name
        delay_ms = 1000 * denoiser.delay_samples / RATE
        return replace(
            speech,
            cleaned=_fitted(resample(cleaned, RATE, sample_rate), speech.original),
            notes=speech.notes | {"denoiser": f"{name}, {delay_ms:.0f} ms more delay"},
            summary=speech.summary | {"denoise_delay_ms": delay_ms},
            models=(name,),
            cpu_seconds_per_second={"denoise": seconds * RATE / len(heard)},
        )


def _fitted(samples: np.ndarray, like: np.ndarray) -> np.ndarray:
    """As long: a sample more or less comes from rounding the length twice."""
    return np.pad(samples[: len(like)], (0, max(0, len(like) - len(samples))))
