"""The contract of everything that runs in a call, and the adapter that lets any block in.

A `Processor` takes fixed frames of one rate and type, and declares its delay. Frameworks pass blocks of their own size,
rate and type (Pipecat s16le bytes, LiveKit 50 ms at 24 kHz, aiortc 20 ms of int16); `Reblocked` stands in between.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

from vivavoce._core import Resampler

Block = TypeVar("Block", bound=np.ndarray | bytes | bytearray | memoryview)


@runtime_checkable
class Processor(Protocol):
    """A streaming stage. Offline processing is the loop over the stream, nothing else.

    Attributes:
        sample_rate: Hz, of input and output.
        frame_samples: Samples that `process` takes and returns.
        delay_samples: Constant delay of the output against the input, at `sample_rate`.
    """

    sample_rate: int
    frame_samples: int
    delay_samples: int

    def process(self, frame: np.ndarray) -> np.ndarray:
        """Shape (frame_samples,), float32 in [-1, 1), in and out."""
        ...

    def flush(self) -> np.ndarray:
        """The tail that the delay still holds, shape (delay_samples,)."""
        ...

    def reset(self) -> None:
        """Forget the signal."""
        ...


class Reblocked:
    """A processor, or one a channel, behind any block size, sample rate and sample type.

    A block is given back as what it came as, with exactly as many samples: silence at first, then the processed signal
    `delay_samples` late. It depends on the samples alone, not on how they were cut into blocks. Between unequal rates
    the core's resampler works, flat to 0.84 of half the lower rate; each way it adds 24 samples of the lower rate.

        denoiser = Reblocked(Denoiser(), sample_rate=16_000)
        cleaned = denoiser.process(block)  # any number of samples

    It serves one thread at a time. What a processor raises passes through; then `reset` before the next block.

    Args:
        processors: One for mono, or a sequence with one for each channel, alike and not the same object.
        sample_rate: Hz, of the blocks; by default that of the processor. The reduced ratio of both must be one of
            numbers up to 640, as between any two of 8, 16, 24, 32, 44.1, 48, 88.2, 96 and 192 kHz.
        block_samples: Promise that every block has a multiple of this many samples, which saves delay: where they fill
            whole frames, as 20 ms do when a frame has 10 ms, re-blocking has none.

    Attributes:
        sample_rate: Hz, of input and output.
        channels: The number of processors.
        block_samples: What blocks must be multiples of; 1 without a promise.
        delay_samples: Constant delay of the output against the input, at `sample_rate`: processor, resamplers, and of
            re-blocking the least that always has enough samples to return.

    Raises:
        TypeError: A rate or block size that is no whole number.
        ValueError: Processors that are unlike or none, or a rate or block size that is not supported.
    """

    def __init__(
        self,
        processors: Processor | Sequence[Processor],
        *,
        sample_rate: int | None = None,
        block_samples: int | None = None,
    ) -> None:
        each = list(processors) if isinstance(processors, Sequence) else [processors]
        _require_alike(each)
        self.channels = len(each)
        self.sample_rate = each[0].sample_rate if sample_rate is None else operator.index(sample_rate)
        self.block_samples = 1 if block_samples is None else operator.index(block_samples)
        if self.sample_rate < 1:
            raise ValueError(f"sample_rate must be positive, got {sample_rate}")
        if self.block_samples < 1:
            raise ValueError(f"block_samples must be positive, got {block_samples}")
        self._channels = [_Channel(processor, self.sample_rate, self.block_samples) for processor in each]
        self.delay_samples = self._channels[0].delay_samples
        self._form = _Form(np.ndarray, np.dtype(np.float32), 1 if self.channels == 1 else 2)

    def process(self, block: Block) -> Block:
        """As many samples as the block has, and of its kind.

        Args:
            block: Shape (samples,) for one channel or (channels, samples), float32 in [-1, 1) or int16. Or `bytes`,
                `bytearray` or `memoryview` of little-endian 16-bit samples, channels interleaved; a `memoryview` may
                also have the format "h". Any number of samples, none included.

        Returns:
            The same type, dtype and shape; always a new object. Integers are rounded to the nearest and saturate.

        Raises:
            TypeError: Another type or dtype.
            ValueError: Another shape, half a sample, or a number of samples that breaks the promise `block_samples`.
                Nothing is consumed, here as with TypeError.
        """
        form = _Form.of(block)
        planes = form.read(block, self.channels)
        if planes.shape[1] % self.block_samples:
            raise ValueError(f"block must have a multiple of {self.block_samples} samples, got {planes.shape[1]}")
        self._form = form
        return form.write(self._process(planes))

    def flush(self) -> np.ndarray | bytes | bytearray | memoryview:
        """The tail that the delay still holds, `delay_samples` long; then `reset`.

        Returns:
            The kind of the last block; before any, float32.
        """
        whole = -(-self.delay_samples // self.block_samples) * self.block_samples
        tail = self._process(np.zeros((self.channels, whole), np.float32))[:, : self.delay_samples]
        self.reset()
        return self._form.write(tail)

    def reset(self) -> None:
        """Forget the signal."""
        for channel in self._channels:
            channel.reset()

    def _process(self, planes: np.ndarray) -> np.ndarray:
        output = np.empty(planes.shape, np.float32)
        for channel, samples, out in zip(self._channels, planes, output, strict=True):
            channel.process(samples, out)
        return output


class _Channel:
    """One processor with what stands before and behind it. Time is counted in the ticks of the core's resampler."""

    def __init__(self, processor: Processor, sample_rate: int, block_samples: int) -> None:
        self._processor = processor
        common = math.gcd(sample_rate, processor.sample_rate)
        outer_ticks, inner_ticks = processor.sample_rate // common, sample_rate // common  # that a sample lasts
        delay_ticks = processor.delay_samples * inner_ticks
        self._inward = self._outward = None
        if sample_rate != processor.sample_rate:
            self._outward = Resampler(processor.sample_rate, sample_rate)
            delay_ticks += 2 * self._outward.delay_ticks
            rest = -delay_ticks % outer_ticks  # what the whole lacks to a whole number of samples
            delay_ticks += rest
            self._inward = Resampler(sample_rate, processor.sample_rate, rest)
        self._lead = _longest_wait(outer_ticks, inner_ticks, processor.frame_samples, block_samples)
        self.delay_samples = delay_ticks // outer_ticks + self._lead
        self._forget()

    def process(self, samples: np.ndarray, output: np.ndarray) -> None:
        """Shape (samples,), float32, both; `output` is overwritten."""
        if self._inward is not None:
            samples = self._inward.process(samples)
        frame_samples = self._processor.frame_samples
        waiting = np.concatenate((self._waiting, samples))
        ready = [self._ready]
        taken = 0
        while taken + frame_samples <= len(waiting):
            frame = self._processor.process(waiting[taken : taken + frame_samples])
            ready.append(frame if self._outward is None else self._outward.process(frame))
            taken += frame_samples
        self._waiting = waiting[taken:].copy()
        joined = np.concatenate(ready)
        output[:] = joined[: len(output)]
        self._ready = joined[len(output) :].copy()

    def reset(self) -> None:
        self._processor.reset()
        for resampler in (self._inward, self._outward):
            if resampler is not None:
                resampler.reset()
        self._forget()

    def _forget(self) -> None:
        self._waiting = np.zeros(0, np.float32)  # not yet a frame, at the processor's rate
        self._ready = np.zeros(self._lead, np.float32)  # not yet returned


@dataclass(frozen=True)
class _Form:
    """What a block is, so that the answer can be the same."""

    container: type
    dtype: np.dtype
    dimensions: int = 1  # of an array
    format: Literal["B", "b", "c", "h"] = "B"  # of a memoryview

    @classmethod
    def of(cls, block: object) -> _Form:
        if isinstance(block, np.ndarray):
            if block.dtype in _SAMPLE_TYPES:
                return cls(np.ndarray, block.dtype, block.ndim)
            raise TypeError(f"block must be float32 or int16, got an array of {block.dtype}")
        if isinstance(block, memoryview):
            if block.format in ("B", "b", "c"):
                return cls(memoryview, _S16LE, format=block.format)
            if block.format == "h":
                return cls(memoryview, _INT16, format="h")
            raise TypeError(f'block must be a memoryview of bytes or of format "h", got format "{block.format}"')
        for container in (bytes, bytearray):
            if isinstance(block, container):
                return cls(container, _S16LE)
        raise TypeError(f"block must be a NumPy array, bytes, bytearray or memoryview, got {type(block).__name__}")

    def read(self, block: Any, channels: int) -> np.ndarray:
        """Shape (channels, samples), float32, perhaps the block's own memory."""
        if self.container is np.ndarray:
            if block.ndim == 1 and channels == 1:
                block = block[np.newaxis]
            if block.ndim != 2 or len(block) != channels:
                wanted = "(samples,) or (1, samples)" if channels == 1 else f"({channels}, samples)"
                raise ValueError(f"block must have shape {wanted}, got {block.shape}")
            planes = block
        else:
            data = block
            if self.container is memoryview:
                if block.ndim != 1:
                    raise ValueError(f"block must be a memoryview of one dimension, got shape {block.shape}")
                data = block.tobytes()  # it may have strides
            if len(data) % (2 * channels):
                sample = "2 bytes" if channels == 1 else f"{2 * channels} bytes, 2 for each channel"
                raise ValueError(f"block must be whole samples of {sample}, got {len(data)} bytes")
            planes = np.frombuffer(data, self.dtype).reshape(-1, channels).T
        return planes if self.dtype == np.float32 else planes * _INT16_STEP

    def write(self, planes: np.ndarray) -> Any:
        """What `read` would read as `planes`, shape (channels, samples), float32; `planes` may be given away."""
        if self.dtype != np.float32:
            planes = _quantize(planes)
        if self.container is np.ndarray:
            return planes[0] if self.dimensions == 1 else planes
        data = planes.T.astype(self.dtype, copy=False).tobytes()
        return memoryview(data).cast(self.format) if self.container is memoryview else self.container(data)


_S16LE = np.dtype("<i2")
_INT16 = np.dtype(np.int16)
_SAMPLE_TYPES = (np.dtype(np.float32), _INT16)
_INT16_STEP = np.float32(2**-15)


def _quantize(samples: np.ndarray) -> np.ndarray:
    """int16 of float32 in [-1, 1): nearest, saturated; 0 for NaN."""
    scaled = np.minimum(samples, 1 - _INT16_STEP)
    np.maximum(scaled, np.float32(-1), out=scaled)
    np.rint(np.divide(scaled, _INT16_STEP, out=scaled), out=scaled)
    scaled[np.isnan(scaled)] = 0
    return scaled.astype(np.int16)


def _longest_wait(outer_ticks: int, inner_ticks: int, frame_samples: int, block_samples: int) -> int:
    """How many samples fewer than came in can have come out, when calls end at multiples of `block_samples`.

    Everything repeats after the least number of outer samples that make whole frames. Of equal rates this is the
    frame without its greatest common divisor with the block.
    """
    period = frame_samples * inner_ticks // math.gcd(frame_samples * inner_ticks, outer_ticks)
    taken = np.arange(0, period, math.gcd(block_samples, period))
    entered = -(-taken * outer_ticks // inner_ticks)  # the resampler's count, rounded up
    framed = entered // frame_samples * frame_samples
    returned = -(-framed * inner_ticks // outer_ticks)
    return int(np.max(taken - returned))


def _require_alike(processors: list[Processor]) -> None:
    if not processors:
        raise ValueError("processors must be at least one, got none")
    if len({id(processor) for processor in processors}) < len(processors):
        raise ValueError("processors must be one object for each channel, got the same more than once")
    kinds = {(each.sample_rate, each.frame_samples, each.delay_samples) for each in processors}
    if len(kinds) > 1:
        raise ValueError(f"processors must agree in sample_rate, frame_samples and delay_samples, got {sorted(kinds)}")
