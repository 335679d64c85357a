"""Deep redundancy of one stream: what its sender says of the past in each packet, and where a receiver finds it.

Times are ticks of the RTP clock, 48 kHz. Features are those of the decoded signal, which is later than what was
captured by Opus's delay: the sender waits as long, so that what is told of a time is what a decoder would play at it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np

from vivavoce import _core
from vivavoce.codec.extensions import Extension, extensions_of, with_extension, with_extensions
from vivavoce.codec.opus import SAMPLE_RATES
from vivavoce.errors import ModelError, PacketError
from vivavoce.models import find_model, load_model
from vivavoce.redundancy.payload import CHUNK_TICKS, MAX_CHUNKS, OFFSET_TICKS, OFFSETS, LevelSchedule, model_id

EXTENSION_ID = 122  # of the padding of Opus packets, by default
EXTENSION_IDS, THEIRS = range(32, 128), (124, 126)  # long ones, and those that libopus uses
RELEASED: dict[int, str] = {1: "rdovae-base-v1"}  # models by identifier; each stays readable for ever
MODEL = "rdovae-base-v1"
SPEECH_RATE = 16_000
HOP_TICKS, STEP_TICKS = 480, 960
MAX_KEPT = 128  # packets whose redundancy a receiver has read: all that may be asked about one slot, and more
MAX_BESIDE = 64  # extensions of a packet in which we look for ours: who sends more wants us to be busy


class DredSender:
    """The sending half: hears what is spoken and describes the past when asked. A `Processor` that changes nothing.

    Args:
        sample_rate: Of the frames: 8, 12, 16, 24 or 48 kHz.
        decoder_delay_samples: By how much a decoder's signal is later than the frames.
        frame_samples: Of a frame; by default 20 ms.
        model: An RDO-VAE of the package, or path.

    Attributes:
        sample_rate, frame_samples: As given.
        delay_samples: 0.

    Raises:
        ValueError: `sample_rate` is none of those.
        ModelError: The model is missing, damaged or of another system.
    """

    def __init__(
        self,
        sample_rate: int,
        decoder_delay_samples: int,
        frame_samples: int | None = None,
        model: str | Path = MODEL,
    ) -> None:
        if sample_rate not in SAMPLE_RATES:
            raise ValueError(f"sample_rate must be one of {SAMPLE_RATES}, got {sample_rate}")
        self._model = load_model(find_model(model))
        if self._model.core.system != "rdovae":
            raise ModelError(Path(model), f"must be of the system rdovae, got {self._model.core.system}")
        self._encoder = _core.DredEncoder(self._model.core)
        shortest = _core.Resampler(sample_rate, SPEECH_RATE)
        ticks_per_sample = np.lcm(sample_rate, SPEECH_RATE) // sample_rate
        extra = max(0, decoder_delay_samples * int(ticks_per_sample) - shortest.delay_ticks)
        self._resampler = _core.Resampler(sample_rate, SPEECH_RATE, extra)
        self._ticks_per_sample = 48_000 // sample_rate
        self.sample_rate, self.delay_samples = sample_rate, 0
        self.frame_samples = sample_rate // 50 if frame_samples is None else frame_samples
        self._heard = 0  # ticks

    def process(self, frame: np.ndarray) -> np.ndarray:
        """Hear the next frame, whatever becomes of its packet, and give it back.

        Args:
            frame: Shape (frame_samples,), floating point in [-1, 1).

        Raises:
            ValueError: It has another shape.
        """
        if frame.shape != (self.frame_samples,):
            raise ValueError(f"frame must have shape ({self.frame_samples},), got {frame.shape}")
        self._encoder.push(self._resampler.process(np.asarray(frame, np.float32)))
        self._heard += len(frame) * self._ticks_per_sample
        return frame

    def flush(self) -> np.ndarray:
        """Nothing: there is no delay."""
        return np.zeros(0, np.float32)

    def reset(self) -> None:
        """Forget the signal."""
        self._encoder.reset()
        self._resampler.reset()
        self._heard = 0

    def loudness(self, age: int) -> float:
        """Of a step, so many before the newest, in the units of the first cepstral coefficient."""
        return self._encoder.loudness(age)

    @property
    def steps(self) -> int:
        """Whole steps of 20 ms that were heard."""
        return self._encoder.hops // 2

    def payload(self, start: int, levels: LevelSchedule, chunks: int) -> bytes | None:
        """What a packet says of the past.

        Args:
            start: Ticks between the beginning of the packet's own frame and the end of what was heard.
            levels: Of the chunks.
            chunks: How many, at most 26.

        Returns:
            None where nothing was heard yet, or where it is too long ago.
        """
        age = self.inside(start)
        offset = round((self._heard - start - self._end(age)) / OFFSET_TICKS)
        if self.steps - age < 2 or offset not in OFFSETS:
            return None
        return self._encoder.write(age, offset, levels.first, levels.slope, levels.last, min(chunks, MAX_CHUNKS))

    def inside(self, start: int) -> int:
        """How many of the newest steps are of nothing but the packet itself, which began `start` ticks ago."""
        return max(0, (self._end(0) - (self._heard - start)) // STEP_TICKS)

    def _end(self, age: int) -> int:
        """Where the last frame of a step ends, in ticks."""
        return STEP_TICKS * (self.steps - age) - HOP_TICKS // 2


class DredRedundancy:
    """What one packet says of the time before it.

    Attributes:
        end: Where its newest chunk ends.
        begin: Where its oldest chunk begins.
    """

    def __init__(self, timestamp: int, reader: _core.DredReader) -> None:
        self._reader = reader
        self.end = timestamp - OFFSET_TICKS * reader.offset
        self.begin = self.end - CHUNK_TICKS * reader.chunks

    def features_from(self, time: int) -> tuple[np.ndarray, int]:
        """All that is said from this time on; only that is decoded.

        Args:
            time: From `begin` on, before `end`.

        Returns:
            Features, shape (frames, 20), float32, and the time on which the first of them is centred.
        """
        oldest = min((self.end - time - 1) // CHUNK_TICKS, self._reader.chunks - 1)
        chunks = [self._reader.features(chunk) for chunk in range(oldest, -1, -1)]
        return np.concatenate(chunks), self.end - CHUNK_TICKS * (oldest + 1) + HOP_TICKS // 2


class DredReceiver:
    """The receiving half: what packets say, read when it is needed.

    Args:
        extension_id: In which it comes.

    Raises:
        ValueError: No description can come in it.
        ModelError: A released model is missing or damaged.
    """

    def __init__(self, extension_id: int = EXTENSION_ID) -> None:
        self._extension_id = checked_id(extension_id)
        self._models = {identifier: load_model(find_model(name)) for identifier, name in RELEASED.items()}
        self._read: OrderedDict[int, tuple[bytes, bytes, DredRedundancy | None]] = OrderedDict()

    def redundancy_of(self, timestamp: int, packet: bytes, block: bytes = b"") -> DredRedundancy | None:
        """What an Opus packet says, or a block that came with it; None where that is nothing that we understand."""
        if timestamp not in self._read or self._read[timestamp][:2] != (packet, block):  # a copy may carry less
            payload = block or _extension(packet, self._extension_id)
            self._read[timestamp] = packet, block, self._parse(timestamp, payload)
            while len(self._read) > MAX_KEPT:
                self._read.popitem(last=False)
        return self._read[timestamp][2]

    def _parse(self, timestamp: int, payload: bytes) -> DredRedundancy | None:
        try:
            model = self._models.get(model_id(payload))
            return model and DredRedundancy(timestamp, _core.DredReader(model.core, payload))
        except ValueError:  # no payload, or a damaged one
            return None


def checked_id(extension_id: int) -> int:
    """An identifier of extensions that descriptions can come in.

    Raises:
        ValueError: It is none, or one that libopus uses.
    """
    if extension_id not in EXTENSION_IDS or extension_id in THEIRS:
        raise ValueError(
            f"the extension of deep redundancy must be from {EXTENSION_IDS[0]} to {EXTENSION_IDS[-1]} and neither "
            f"{THEIRS[0]} nor {THEIRS[1]}, which are libopus's, got {extension_id}"
        )
    return extension_id


def with_dred(packet: bytes, payload: bytes, extension_id: int = EXTENSION_ID) -> bytes:
    """An Opus packet with a payload in its padding, after what other extensions it has."""
    return with_extension(packet, Extension(extension_id, 0, payload))


def shortened_packet(packet: bytes, chunks: int, extension_id: int = EXTENSION_ID) -> bytes:
    """An Opus packet that says less of the past: for a sender, or a relay that is short of rate.

    Args:
        packet: An Opus packet. Without a description, or with one that we cannot read, it stays as it is.
        chunks: Of 40 ms, the newest, that it describes at most; 0 takes any description out.
        extension_id: In which it comes.

    Returns:
        The packet; other extensions stay in it.

    Raises:
        ValueError: `chunks` is negative, or no description can come in that extension.
        PacketError: The packet or its padding is corrupt.
    """
    if chunks < 0:
        raise ValueError(f"chunks must be 0 or more, got {chunks}")
    ours, kept = checked_id(extension_id), []
    found = extensions_of(packet)
    for each in found:
        if each.id != ours:
            kept.append(each)
        elif chunks:
            kept.append(replace(each, data=shortened(each.data, chunks)))
    return packet if kept == found else with_extensions(packet, kept)


def shortened(payload: bytes, chunks: int) -> bytes:
    """A description, as a block of RED has it, with no more than so many chunks of 40 ms, the newest.

    What is none, or of a model that we do not have, stays as it is.

    Raises:
        ValueError: `chunks` is below 1.
    """
    if chunks < 1:
        raise ValueError(f"chunks must be 1 or more, got {chunks}")
    try:
        name = RELEASED.get(model_id(payload))
        return _core.DredReader(load_model(find_model(name)).core, payload).shortened(chunks) if name else payload
    except ValueError:  # no payload, or a damaged one
        return payload


def _extension(packet: bytes, extension_id: int) -> bytes:
    try:
        found = extensions_of(packet, MAX_BESIDE)
        return next((each.data for each in found if each.id == extension_id and not each.frame), b"")
    except PacketError:
        return b""
