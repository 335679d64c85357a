"""The Opus encoder and decoder of one stream each (RFC 6716), as libopus implements them.

Both states live in memory that the Python object owns, so that they end with it, and a decoder's state can be copied
byte for byte: a receiver looks ahead, or undoes a concealment, by a snapshot. No object may be used by two threads at
once; different objects may, as libopus runs without the interpreter's lock.

Differences from libopus: samples outside [-1, 1] are clipped on their way in and out, NaN and infinity are refused, and
an empty packet is an error (libopus takes it for a lost one; that is `OpusDecoder.conceal`).
"""

from __future__ import annotations

import ctypes
import math
import os
import struct
from collections.abc import Iterable
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from vivavoce.codec.library import Libopus, find_libopus
from vivavoce.codec.state import CodecState
from vivavoce.errors import CodecError, PacketError

Bandwidth = Literal["narrowband", "mediumband", "wideband", "superwideband", "fullband"]
Application = Literal["voip", "audio", "lowdelay"]
Signal = Literal["voice", "music"]
Vbr = bool | Literal["constrained"]

SAMPLE_RATES = (8000, 12000, 16000, 24000, 48000)
FRAME_MS = (2.5, 5, 10, 20, 40, 60)
BITRATE_RANGE = (500, 512_000)  # what libopus takes without silently changing it
MAX_PACKET_MS = 120  # RFC 6716 section 3.2.5, R5; also the longest stretch that one call of libopus conceals
MAX_PACKET_BYTES = 6 * 1277  # six full CELT frames with their lengths, more than 60 ms can need

BANDWIDTHS: dict[Bandwidth, int] = {
    "narrowband": 1101,
    "mediumband": 1102,
    "wideband": 1103,
    "superwideband": 1104,
    "fullband": 1105,
}
APPLICATIONS: dict[Application, int] = {"voip": 2048, "audio": 2049, "lowdelay": 2051}
SIGNALS: dict[Signal, int] = {"voice": 3001, "music": 3002}

# requests of opus_defines.h
_AUTO = -1000
_SET_BITRATE, _SET_VBR, _SET_BANDWIDTH, _SET_COMPLEXITY = 4002, 4006, 4008, 4010
_SET_INBAND_FEC, _SET_PACKET_LOSS, _SET_DTX, _SET_VBR_CONSTRAINT, _SET_SIGNAL = 4012, 4014, 4016, 4020, 4024
_GET_LOOKAHEAD, _GET_IN_DTX = 4027, 4049

# A state holds addresses of libopus's tables, so it means nothing to another process.
_PROCESS = os.urandom(8)
_SNAPSHOT = struct.Struct("=8sQII")  # process, library, sample rate, channels
_TOC = struct.Struct("=h")  # of the last packet, -1 before the first


class OpusEncoder:
    """Encodes one stream, a frame per packet.

    Args:
        sample_rate: One of `SAMPLE_RATES`.
        channels: 1 or 2.
        frame_ms: One of `FRAME_MS`.
        bitrate_bps: Target in bits per second of Opus payload, within `BITRATE_RANGE`.
        vbr: True lets the rate follow the signal, "constrained" bounds what a transmission at the target rate would
            have to buffer, False makes all packets equally long.
        bandwidth: The audio bandwidth, or None to let libopus choose by rate.
        complexity: 0 (fast) to 10.
        inband_fec: Write LBRR: a coarse copy of the frame before, decoded by `OpusDecoder.decode_lbrr`. libopus writes
            none unless it also expects loss, and none at low rates.
        expected_loss_pct: 0 to 100; rounded to whole per cent.
        dtx: Send (almost) nothing while nobody speaks.
        application: "voip" favours intelligibility, "audio" fidelity, "lowdelay" does without the speech modes.
        signal: What is encoded, where libopus need not find out: it moves the rate at which speech modes end.
        library: The libopus to use; by default the one that `find_libopus` finds.

    Raises:
        ValueError: A setting is outside its range.
        CodecError: There is no libopus, or it refuses a setting.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        channels: int = 1,
        frame_ms: float = 20,
        bitrate_bps: int = 32000,
        vbr: Vbr = True,
        bandwidth: Bandwidth | None = None,
        complexity: int = 10,
        inband_fec: bool = False,
        expected_loss_pct: float = 0,
        dtx: bool = False,
        application: Application = "voip",
        signal: Signal | None = None,
        library: Libopus | None = None,
    ) -> None:
        _check_stream(sample_rate, channels)
        _check_choice("frame_ms", frame_ms, FRAME_MS)
        _check_choice("application", application, APPLICATIONS)
        self.sample_rate = sample_rate
        self.channels = channels
        self.frame_samples = int(sample_rate * frame_ms) // 1000
        self._state = CodecState(library or find_libopus(), "encoder", sample_rate, channels, APPLICATIONS[application])
        self.bitrate_bps = bitrate_bps
        self.vbr = vbr
        self.bandwidth = bandwidth
        self.complexity = complexity
        self.inband_fec = inband_fec
        self.expected_loss_pct = expected_loss_pct
        self.dtx = dtx
        self.signal = signal
        self._pcm = np.zeros((self.frame_samples, channels), dtype=np.float32)  # interleaved, as libopus reads it
        self._pcm_address = self._pcm.ctypes.data
        self._packet = ctypes.create_string_buffer(MAX_PACKET_BYTES)

    @property
    def library(self) -> Libopus:
        """The libopus that encodes."""
        return self._state.library

    @property
    def delay_samples(self) -> int:
        """Samples by which the decoded sound lags the input, at `sample_rate`: libopus's look-ahead.

        Speech is best matched by a shift within 1 sample of it at 16 kHz. At 48 kHz it is up to 6 less with "voip",
        whose high-pass advances the low voice by an amount that depends on the talker, and up to 2.4 less with "audio".
        """
        return self._state.get(_GET_LOOKAHEAD, "its look-ahead")

    @property
    def in_dtx(self) -> bool:
        """Whether the encoder is in a silence that DTX leaves out.

        True too for the packets with which it renews the background noise every 420 ms; those must be sent. What need
        not be sent are the packets of at most 2 bytes.
        """
        return bool(self._state.get(_GET_IN_DTX, "whether it is silent"))

    @property
    def bitrate_bps(self) -> int:
        """Target rate of the packets."""
        return self._bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None:
        _check_range("bitrate_bps", value, *BITRATE_RANGE)
        self._state.set(_SET_BITRATE, int(value), "bitrate_bps")
        self._bitrate_bps = int(value)

    @property
    def vbr(self) -> Vbr:
        """Variable rate (True), bounded variable rate ("constrained") or constant rate (False)."""
        return self._vbr

    @vbr.setter
    def vbr(self, value: Vbr) -> None:
        _check_choice("vbr", value, (True, False, "constrained"))
        self._state.set(_SET_VBR, int(value is not False), "vbr")
        self._state.set(_SET_VBR_CONSTRAINT, int(value == "constrained"), "the VBR constraint")
        self._vbr: Vbr = value

    @property
    def bandwidth(self) -> Bandwidth | None:
        """The audio bandwidth that is forced, or None."""
        return self._bandwidth

    @bandwidth.setter
    def bandwidth(self, value: Bandwidth | None) -> None:
        _check_choice("bandwidth", value, (None, *BANDWIDTHS))
        self._state.set(_SET_BANDWIDTH, _AUTO if value is None else BANDWIDTHS[value], "bandwidth")
        self._bandwidth: Bandwidth | None = value

    @property
    def complexity(self) -> int:
        """Effort, 0 to 10."""
        return self._complexity

    @complexity.setter
    def complexity(self, value: int) -> None:
        _check_range("complexity", value, 0, 10)
        self._state.set(_SET_COMPLEXITY, int(value), "complexity")
        self._complexity = int(value)

    @property
    def inband_fec(self) -> bool:
        """Whether packets may carry LBRR."""
        return self._inband_fec

    @inband_fec.setter
    def inband_fec(self, value: bool) -> None:
        self._state.set(_SET_INBAND_FEC, int(bool(value)), "inband_fec")
        self._inband_fec = bool(value)

    @property
    def expected_loss_pct(self) -> int:
        """The loss that packets are made for, in whole per cent."""
        return self._expected_loss_pct

    @expected_loss_pct.setter
    def expected_loss_pct(self, value: float) -> None:
        _check_range("expected_loss_pct", value, 0, 100)
        self._state.set(_SET_PACKET_LOSS, round(value), "expected_loss_pct")
        self._expected_loss_pct = round(value)

    @property
    def dtx(self) -> bool:
        """Whether silence is left out."""
        return self._dtx

    @dtx.setter
    def dtx(self, value: bool) -> None:
        self._state.set(_SET_DTX, int(bool(value)), "dtx")
        self._dtx = bool(value)

    @property
    def signal(self) -> Signal | None:
        """What is said to be encoded, or None."""
        return self._signal

    @signal.setter
    def signal(self, value: Signal | None) -> None:
        _check_choice("signal", value, (None, *SIGNALS))
        self._state.set(_SET_SIGNAL, _AUTO if value is None else SIGNALS[value], "signal")
        self._signal: Signal | None = value

    def encode(self, frame: ArrayLike) -> bytes:
        """Encode one frame.

        Args:
            frame: Shape (frame_samples,), or (channels, frame_samples) for stereo; floating point, finite.

        Returns:
            One Opus packet; of at most 2 bytes where DTX found silence, and then it need not be sent.

        Raises:
            ValueError: The frame has another shape, or holds NaN or infinity.
            TypeError: The frame is not floating point.
            CodecError: libopus cannot encode with its settings.
        """
        samples = np.asarray(frame)
        if samples.dtype.kind != "f":
            raise TypeError(f"frame must be floating point in [-1, 1), got {samples.dtype}")
        expected = (self.frame_samples,) if self.channels == 1 else (self.channels, self.frame_samples)
        if samples.shape != expected:
            raise ValueError(f"frame must have the shape {expected}, got {samples.shape}")
        if not np.isfinite(samples).all():
            raise ValueError("frame must be finite, got NaN or infinity in it")
        np.clip(samples.T if self.channels == 2 else samples[:, np.newaxis], -1, 1, out=self._pcm, casting="same_kind")
        size = self.library.api.opus_encode_float(
            self._state.memory, self._pcm_address, self.frame_samples, self._packet, MAX_PACKET_BYTES
        )
        return ctypes.string_at(self._packet, self.library.check(size, "to encode a frame"))

    def reset(self) -> None:
        """Forget the signal so far; the settings stay."""
        self._state.reset()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an encoder's state belongs to this process and cannot be copied or pickled")


class OpusDecoder:
    """Decodes one stream.

    Args:
        sample_rate: One of `SAMPLE_RATES`; it need not be the encoder's.
        channels: 1 or 2; libopus mixes down or doubles where packets have another number.
        complexity: 0 to 10, for libopus 1.5 and newer; from 5 on it conceals by a neural network where it was built
            with one. None leaves the library's default.
        library: The libopus to use; by default the one that `find_libopus` finds.

    Raises:
        ValueError: A setting is outside its range.
        CodecError: There is no libopus, or it refuses a setting.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        channels: int = 1,
        complexity: int | None = None,
        library: Libopus | None = None,
    ) -> None:
        _check_stream(sample_rate, channels)
        self.sample_rate = sample_rate
        self.channels = channels
        self.complexity = complexity
        self._state = CodecState(library or find_libopus(), "decoder", sample_rate, channels)
        if complexity is not None:
            _check_range("complexity", complexity, 0, 10)
            try:
                self._state.set(_SET_COMPLEXITY, complexity, "a decoder's complexity")
            except CodecError as error:
                raise CodecError(f"{error}; libopus 1.5 and newer know it", error.code) from None
        self._step = sample_rate // 400  # 2.5 ms, the grid of everything that libopus conceals
        self._most = sample_rate * MAX_PACKET_MS // 1000
        self._pcm = np.zeros((self._most, channels), dtype=np.float32)
        self._pcm_address = self._pcm.ctypes.data
        self._header = _SNAPSHOT.pack(_PROCESS, self.library.api._handle, sample_rate, channels)
        self._last_toc = -1

    @property
    def library(self) -> Libopus:
        """The libopus that decodes."""
        return self._state.library

    @property
    def last_toc(self) -> int | None:
        """First byte of the last packet that was decoded (RFC 6716 section 3.1); None before there was one."""
        return None if self._last_toc < 0 else self._last_toc

    def decode(self, packet: bytes) -> np.ndarray:
        """Decode one packet.

        Returns:
            Shape (samples,), or (channels, samples) for stereo; float32, finite, in [-1, 1].

        Raises:
            PacketError: The packet is corrupt. The state is as usable as before.
        """
        output = self._decode(_packet_bytes(packet), self._most, lbrr=False)
        self._last_toc = packet[0]
        return output

    def decode_lbrr(self, packet: bytes, samples: int) -> np.ndarray:
        """Decode the copy that a packet carries of the frame before it, which was lost.

        libopus conceals what it has no copy of: everything where the packet has no LBRR, and the beginning where
        `samples` is more than one frame of the packet.

        Args:
            packet: The packet after the loss. It must be given to `decode` as well, afterwards.
            samples: Length of the loss, up to 120 ms, a multiple of 2.5 ms.

        Returns:
            Shape (samples,) or (channels, samples), as `decode`.

        Raises:
            PacketError: The packet is corrupt.
            ValueError: `samples` is no length that libopus fills in one call.
        """
        self._check_length(samples)
        if not 0 < samples <= self._most:
            raise ValueError(f"samples must be in (0, {self._most}], got {samples}")
        return self._decode(_packet_bytes(packet), samples, lbrr=True)

    def conceal(self, samples: int) -> np.ndarray:
        """Invent what a lost packet might have held, going on from what was decoded last.

        Args:
            samples: Any multiple of 2.5 ms.

        Returns:
            Shape (samples,) or (channels, samples), as `decode`.

        Raises:
            ValueError: `samples` is negative or no multiple of 2.5 ms.
        """
        self._check_length(samples)
        pieces = [self._decode(None, min(self._most, samples - at), lbrr=False) for at in range(0, samples, self._most)]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate([self._pcm.T[:, :0] if self.channels == 2 else self._pcm[:0, 0], *pieces], axis=-1)

    def snapshot(self) -> bytes:
        """The whole state; `restore` returns to it as often as wanted. It has no meaning outside this process."""
        return self._header + self._state.memory.raw + _TOC.pack(self._last_toc)

    def restore(self, snapshot: bytes) -> None:
        """Go back to a snapshot, exactly.

        Args:
            snapshot: From this decoder, or another one of the same library, sample rate and channels.

        Raises:
            ValueError: The snapshot is from another kind of decoder or another process.
        """
        start, size = len(self._header), len(self._state.memory)
        if len(snapshot) != start + size + _TOC.size or not snapshot.startswith(self._header):
            raise ValueError("the snapshot is not of a decoder with this library, sample rate and channels")
        ctypes.memmove(self._state.memory, snapshot[start:], size)
        (self._last_toc,) = _TOC.unpack(snapshot[start + size :])

    def reset(self) -> None:
        """Forget the stream so far."""
        self._state.reset()
        self._last_toc = -1

    def __reduce__(self) -> NoReturn:
        raise TypeError("a decoder's state belongs to this process: use snapshot() and restore()")

    def _check_length(self, samples: int) -> None:
        if samples < 0 or samples % self._step:
            raise ValueError(f"samples must be a multiple of {self._step} (2.5 ms), got {samples}")

    def _decode(self, packet: bytes | None, samples: int, *, lbrr: bool) -> np.ndarray:
        result = self.library.api.opus_decode_float(
            self._state.memory, packet, len(packet or b""), self._pcm_address, samples, int(lbrr)
        )
        if result < 0:
            text = f"{self.library.error_text(result)} (code {result})"
            if packet is None:
                raise CodecError(f"libopus {self.library.version} cannot conceal {samples} samples: {text}", result)
            raise PacketError(f"libopus cannot decode a packet of {len(packet)} bytes: {text}")
        pcm = self._pcm[:result]
        output = np.clip(pcm[:, 0] if self.channels == 1 else pcm.T, -1, 1)
        return output if np.isfinite(output).all() else np.nan_to_num(output, copy=False)


def _packet_bytes(packet: bytes) -> bytes:
    if not packet:
        raise PacketError("an empty packet holds no Opus; conceal() fills the place of a lost one")
    return bytes(packet)


def _check_stream(sample_rate: int, channels: int) -> None:
    _check_choice("sample_rate", sample_rate, SAMPLE_RATES)
    _check_choice("channels", channels, (1, 2))


def _check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    if value not in tuple(choices):
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not (least <= value <= most) or math.isnan(value):
        raise ValueError(f"{name} must be in [{least}, {most}], got {value}")
