"""Sound files through the denoiser, block by block: same rate and channels out, aligned to the sample.

Each channel has a stream of its own at 48 kHz. Other rates are resampled there and back by soxr, which adds no delay
and keeps nine tenths of the band; the denoiser's own delay is taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vivavoce.audio import OPUS_RATES, container_of, write_audio
from vivavoce.audio_reader import AudioReader, open_audio
from vivavoce.enhancement.denoiser import Denoiser, FrameReport

Resample = Callable[[np.ndarray, bool], np.ndarray]
Watch = Callable[[np.ndarray, np.ndarray, "list[FrameReport]"], None]


@dataclass(frozen=True)
class DenoisedFile:
    """What became of a file.

    Attributes:
        source: The file, or "-".
        target: Likewise.
        seconds: Length.
        input_rate: Hz.
        sample_rate: Of the output, in Hz: the input's, or 48000 for Ogg Opus, which does not have all.
        channels: Of both.
        model: Name of the model.
        attenuation_db: Energy of the input over that of the output; None where one of them is silent.
        voice_share: Share of the frames of all channels with a voice probability above one half.
        cpu_seconds_per_second: CPU time of this thread, reading and writing included, per second of sound.
    """

    source: str
    target: str
    seconds: float
    input_rate: int
    sample_rate: int
    channels: int
    model: str
    attenuation_db: float | None
    voice_share: float
    cpu_seconds_per_second: float


def denoise_file(
    source: str | Path,
    target: str | Path,
    model: str | Path | None = None,
    *,
    lookahead: bool = True,
    attenuation_limit_db: float | None = None,
    force: bool = False,
    watch: Callable[[AudioReader, int], Watch] | None = None,
) -> DenoisedFile:
    """Take the noise out of a sound file of any format.

    Args:
        source: The file; "-" is standard input.
        target: A WAV, FLAC or Ogg Opus file by its suffix; "-" is standard output, which gets WAV. As long as the
            source; samples have 24 bits or are float where the source's do and the format can.
        model: As of `Denoiser`, like what follows.
        lookahead: False for a model without look-ahead.
        attenuation_limit_db: At most so much of the sound is taken away; None is no limit.
        force: Replace an existing file.
        watch: Is told the opened source and the rate of the output, and returns what shall see the work: it gets
            blocks of the input and of the output, (channels, samples) each, and what the denoisers of all channels
            made of each 10 ms that came out. Blocks and frames are in order, but not at the same place.

    Raises:
        AudioFileError: No such sound, or the file exists and `force` is not set.
        ModelError: The model is missing, damaged or made for something else.
        OSError: A file cannot be read or written.
        ValueError: An argument is out of range.
    """
    began = time.thread_time()
    container = container_of(target)
    first = Denoiser(model, lookahead=lookahead, attenuation_limit_db=attenuation_limit_db)
    with open_audio(source) as reader:
        rate = reader.sample_rate
        if container == "OGG" and rate not in OPUS_RATES:
            rate = OPUS_RATES[-1]
        streams = [first, *(first.copy() for _ in range(1, reader.channels))]
        work = _Work(reader, rate, streams, watch(reader, rate) if watch else None)
        write_audio(
            target,
            work.blocks(),
            rate,
            reader.channels,
            subtype=reader.subtype,
            expected_samples=round(reader.expected_samples * rate / reader.sample_rate),
            force=force,
        )
        return DenoisedFile(
            source=str(source),
            target=str(target),
            seconds=work.taken / reader.sample_rate,
            input_rate=reader.sample_rate,
            sample_rate=rate,
            channels=reader.channels,
            model=first.model_name,
            attenuation_db=work.attenuation_db(),
            voice_share=work.voiced_frames / max(1, work.frames),
            cpu_seconds_per_second=(time.thread_time() - began) * reader.sample_rate / work.taken,
        )


@dataclass
class _Work:
    """One file on its way.

    Attributes:
        taken: Samples of a channel that came in.
        frames: Of the denoisers, all channels counted, that came out.
        voiced_frames: Of them, those with voice.
    """

    reader: AudioReader
    rate: int
    streams: list[Denoiser]
    watch: Watch | None
    taken: int = 0
    frames: int = 0
    voiced_frames: int = 0
    _energies: np.ndarray = field(default_factory=lambda: np.zeros(2))  # per second of input and output

    def blocks(self) -> Iterator[np.ndarray]:
        """The output, shape (channels, samples), float32.

        Resamplers are made now and not with the first block: to import soxr while a file is half written would risk
        that file, for an interruption in there kills the process.
        """
        inner = self.streams[0].sample_rate
        inward = _resampler(self.reader.sample_rate, inner, self.reader.channels)
        outward = _resampler(inner, self.rate, self.reader.channels)
        return self._blocks(inward, outward)

    def _blocks(self, inward: Resample, outward: Resample) -> Iterator[np.ndarray]:
        aligned = _Aligned(self.streams)
        written = 0
        for block, last in _with_last(self.reader.blocks()):
            self.taken += block.shape[1]
            due = round(self.taken * self.rate / self.reader.sample_rate)
            cleaned, reports = aligned.process(inward(block, last), last)
            output = outward(cleaned, last)[:, : due - written]
            if last and written + output.shape[1] < due:  # both ways were rounded
                output = np.pad(output, ((0, 0), (0, due - written - output.shape[1])))
            written += output.shape[1]
            self._count(block, output, reports)
            yield output

    def attenuation_db(self) -> float | None:
        before, after = self._energies
        return float(10 * np.log10(before / after)) if before > 0 and after > 0 else None

    def _count(self, block: np.ndarray, output: np.ndarray, reports: list[FrameReport]) -> None:
        self._energies += (
            np.square(block, dtype=np.float64).sum() / self.reader.sample_rate,
            np.square(output, dtype=np.float64).sum() / self.rate,
        )
        self.frames += len(reports)
        self.voiced_frames += sum(report.voice_probability > 0.5 for report in reports)
        if self.watch is not None:
            self.watch(block, output, reports)


class _Aligned:
    """The denoisers of all channels without their delay: any number of samples in; as many out after the last."""

    def __init__(self, streams: list[Denoiser]) -> None:
        self._streams = streams
        self._frame, self._delay = streams[0].frame_samples, streams[0].delay_samples
        self._waiting = np.zeros((len(streams), 0), np.float32)  # not yet a frame
        self._taken = self._returned = 0
        self._early = self._delay  # samples that are still to be dropped

    def process(self, samples: np.ndarray, last: bool) -> tuple[np.ndarray, list[FrameReport]]:
        """Shape (channels, samples), both; and what each stream made of each frame of it, in order of time."""
        self._taken += samples.shape[1]
        waiting = np.concatenate((self._waiting, samples), axis=1)
        if last:
            missing = self._delay + -self._taken % self._frame
            waiting = np.pad(waiting, ((0, 0), (0, missing)))
        whole = waiting.shape[1] // self._frame * self._frame
        output, reports = np.empty((len(waiting), whole), np.float32), []
        for at in range(0, whole, self._frame):
            for stream, channel, out in zip(self._streams, waiting, output, strict=True):
                out[at : at + self._frame] = stream.process(channel[at : at + self._frame])
                if at >= self._early:
                    reports.append(stream.last_frame())
        self._waiting = waiting[:, whole:].copy()
        output = output[:, min(self._early, whole) :]
        self._early -= min(self._early, whole)
        output = output[:, : self._taken - self._returned]
        self._returned += output.shape[1]
        return output, reports


def _with_last(blocks: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    """Each block, and whether it is the last."""
    held = next(blocks)
    for block in blocks:
        yield held, False
        held = block
    yield held, True


def _resampler(from_rate: int, to_rate: int, channels: int) -> Resample:
    """Blocks of shape (channels, samples) on their way to another rate; what is missing comes with the last."""
    if from_rate == to_rate:
        return lambda block, last: block
    import soxr

    stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32")

    def process(block: np.ndarray, last: bool) -> np.ndarray:
        interleaved = stream.resample_chunk(np.ascontiguousarray(block.T), last=last)
        return interleaved.reshape(-1, channels).T

    return process
