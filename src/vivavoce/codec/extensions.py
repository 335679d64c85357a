"""Extensions in the padding of Opus packets: draft-ietf-mlcodec-opus-extension-05.

RFC 6716 lets a decoder ignore whatever the padding of a code-3 packet holds. The draft makes it a list of extensions,
each for one frame of the packet. One byte opens each: seven bits of ID and a flag L.

    ID 0       L = 0: all that follows is plain padding.   L = 1: this byte is.
    ID 1       the next extensions are for the next frame; L = 1: for the frame as many further on as the next byte says
    ID 2       the frame's extensions so far occur in all later frames too: their payloads follow, without their IDs.
               L = 0: the last long one of them ends with the padding, has no length, and the next frame comes next
    ID 3-31    short: L bytes of payload
    ID 32-127  long: L = 1: a length, as many 255 as needed and a last byte below, then the payload; L = 0: to the end

libopus 1.6 itself uses 124 (for its high-resolution mode) and 126 (for DRED, where it is built with it); with any other
ID a packet decodes to the same samples as without.

Departure: more than `MAX_EXTENSIONS` are an error. Repetition lets one byte stand for 47 extensions, and no receiver
should build millions of them out of one datagram.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass

from vivavoce.codec.packet import OpusPacket, is_bare, padded
from vivavoce.errors import PacketError

MAX_EXTENSIONS = 2048  # 42 for each of the 48 frames that a packet can have
MAX_FRAMES = 48

_PADDING, _SEPARATOR, _REPEAT = 0, 1, 2
_FIRST_SHORT, _FIRST_LONG, _LAST = 3, 32, 127

# runs that say nothing, skipped at once so that 64 KiB of them cost no time: single bytes of padding and separators by
# no frame; where there is nothing to repeat, repetitions too
_IDLE = re.compile(rb"(?:\x01|\x03\x00)*+")  # possessive: it keeps no memory of the way back
_IDLE_UNREPEATABLE = re.compile(rb"(?:\x01|\x03\x00|\x05)*+")


@dataclass(frozen=True)
class Extension:
    """One extension.

    Args:
        id: 3 to 127; below 32 it carries no byte or one, above any number.
        frame: The frame of the packet that it belongs to, from 0.
        data: The payload.

    Raises:
        ValueError: A field is outside its range.
    """

    id: int
    frame: int
    data: bytes

    def __post_init__(self) -> None:
        if not _FIRST_SHORT <= self.id <= _LAST:
            raise ValueError(f"id must be in [{_FIRST_SHORT}, {_LAST}], got {self.id}")
        if not 0 <= self.frame < MAX_FRAMES:
            raise ValueError(f"frame must be in [0, {MAX_FRAMES - 1}], got {self.frame}")
        if self.id < _FIRST_LONG and len(self.data) > 1:
            raise ValueError(f"extension {self.id} carries at most one byte, got {len(self.data)}")


def parse_extensions(padding: bytes, frames: int, limit: int = MAX_EXTENSIONS) -> list[Extension]:
    """Read all extensions of a packet.

    Args:
        padding: The padding of the packet.
        frames: How many frames the packet has.
        limit: More extensions than that are an error.

    Returns:
        The extensions by frame; those of one frame in the order in which they were written.

    Raises:
        PacketError: The padding is no valid list of extensions, or of too many.
    """
    _check_frames(frames)
    reader = _Reader(bytes(padding), frames, limit)
    reader.read()
    return sorted(reader.extensions, key=lambda extension: extension.frame)


def write_extensions(extensions: Iterable[Extension], frames: int) -> bytes:
    """Write extensions as the padding of a packet, with repetition where that is shorter.

    Args:
        extensions: In any order; those of one frame stay in theirs.
        frames: How many frames the packet has.

    Raises:
        ValueError: An extension is for a frame that the packet does not have, or there are too many.
    """
    _check_frames(frames)
    queues: list[list[Extension]] = [[] for _ in range(frames)]
    for extension in extensions:
        if extension.frame >= frames:
            raise ValueError(f"an extension for frame {extension.frame} in a packet of {frames} frames")
        queues[extension.frame].append(extension)
    total = sum(map(len, queues))
    if total > MAX_EXTENSIONS:
        raise ValueError(f"a packet carries at most {MAX_EXTENSIONS} extensions, got {total}")
    ways = (False, True) if frames > 1 else (False,)  # a single frame has nothing to repeat
    return min((_Writer(queues, repeat=repeat).write() for repeat in ways), key=len)


def extensions_of(packet: bytes, limit: int = MAX_EXTENSIONS) -> list[Extension]:
    """The extensions that a packet carries; empty for one without padding or with plain zeros in it.

    Args:
        packet: Any Opus packet.
        limit: More extensions than that are an error.

    Raises:
        PacketError: The packet or its padding is corrupt.
    """
    parsed = OpusPacket.parse(packet)
    return parse_extensions(parsed.padding or b"", len(parsed.frames), limit)


def with_extensions(packet: bytes, extensions: Iterable[Extension]) -> bytes:
    """The packet with these extensions in place of whatever padding it has.

    Args:
        packet: Any valid Opus packet.
        extensions: With none, the packet loses its padding.

    Raises:
        PacketError: The packet is corrupt.
        ValueError: An extension does not fit the packet.
    """
    return _padded(OpusPacket.parse(packet), extensions)


def with_extension(packet: bytes, extension: Extension) -> bytes:
    """The packet with this extension behind those that it has.

    Raises:
        PacketError: The packet or its padding is corrupt.
        ValueError: The extension does not fit the packet.
    """
    if is_bare(packet) and not extension.frame:  # the usual case, in each packet of a call
        flag = len(extension.data) if extension.id < _FIRST_LONG else 0
        return padded(packet, bytes((extension.id << 1 | flag,)) + extension.data)
    parsed = OpusPacket.parse(packet)
    before = parse_extensions(parsed.padding, len(parsed.frames)) if parsed.padding else []
    return _padded(parsed, [*before, extension])


def _padded(packet: OpusPacket, extensions: Iterable[Extension]) -> bytes:
    padding = write_extensions(extensions, len(packet.frames))
    return dataclasses.replace(packet, padding=padding or None).serialize()


def _check_frames(frames: int) -> None:
    if not 1 <= frames <= MAX_FRAMES:
        raise ValueError(f"frames must be in [1, {MAX_FRAMES}], got {frames}")


class _Reader:
    """One pass over the padding; every byte is looked at once."""

    def __init__(self, data: bytes, frames: int, limit: int) -> None:
        self.data = data
        self.frames = frames
        self.limit = limit
        self.at = 0
        self.frame = 0
        self.extensions: list[Extension] = []
        self.repeatable: list[tuple[int, int]] = []  # (ID, L) of this frame's extensions since the last repetition

    def read(self) -> None:
        data = self.data
        while self.frame < self.frames:
            self._skip_idle()
            if self.at == len(data):
                return
            kind, flag = data[self.at] >> 1, data[self.at] & 1
            self.at += 1
            if kind == _PADDING:
                if not flag:
                    return
            elif kind == _SEPARATOR:
                self._separate(flag)
            elif kind == _REPEAT:
                self._repeat(flag)
            else:
                self._take(kind, flag, self.frame)
                self.repeatable.append((kind, flag))

    def _skip_idle(self) -> None:
        idle = (_IDLE if self.repeatable else _IDLE_UNREPEATABLE).match(self.data, self.at)
        self.at = idle.end() if idle else self.at

    def _separate(self, flag: int) -> None:
        step = 1
        if flag:
            if self.at == len(self.data):
                raise PacketError("the extensions of an Opus packet end inside a frame separator")
            step = self.data[self.at]
            self.at += 1
        self.frame += step
        if self.frame >= self.frames:
            raise PacketError(f"an extension for frame {self.frame} of an Opus packet of {self.frames} frames")
        if step:
            self.repeatable = []

    def _repeat(self, flag: int) -> None:
        last_long = max((at for at, (kind, _) in enumerate(self.repeatable) if kind >= _FIRST_LONG), default=None)
        kept = sum(length for _, length in self.repeatable[last_long + 1 :]) if last_long is not None else 0
        for frame in range(self.frame + 1, self.frames) if self.repeatable else ():
            for at, (kind, length) in enumerate(self.repeatable):
                to_the_end = not flag and frame == self.frames - 1 and at == last_long
                self._take(kind, 0 if to_the_end else length, frame, kept)
        self.repeatable = []
        if not flag:
            self.frame += 1

    def _take(self, kind: int, flag: int, frame: int, kept: int = 0) -> None:
        """Read one payload; where it reaches to the end, all but the last `kept` bytes."""
        if len(self.extensions) == self.limit:
            raise PacketError(f"an Opus packet with more than {self.limit} extensions")
        data, at = self.data, self.at
        if kind < _FIRST_LONG:
            end = at + flag
        elif flag:
            end, at = self._laced_end(at)
        else:
            end = len(data) - kept
        if not at <= end <= len(data):
            raise PacketError(f"extension {kind} of an Opus packet is cut off")
        self.extensions.append(Extension(kind, frame, data[at:end]))
        self.at = end

    def _laced_end(self, at: int) -> tuple[int, int]:
        """Where a payload whose length begins at `at` ends, and where it begins."""
        length, lace = 0, 255
        while lace == 255 and length <= len(self.data):
            if at == len(self.data):
                raise PacketError("a length in the extensions of an Opus packet is cut off")
            lace = self.data[at]
            at += 1
            length += lace
        return at + length, at


class _Writer:
    """Writes each frame's extensions after those that an earlier frame has repeated into it."""

    def __init__(self, queues: list[list[Extension]], *, repeat: bool) -> None:
        self.queues = queues
        self.repeat = repeat
        self.done = [0] * len(queues)  # how many of each frame's extensions are written
        self.left = sum(map(len, queues))
        self.frame = 0  # the frame that the reader will think it is in
        self.output = bytearray()

    def write(self) -> bytes:
        for frame, queue in enumerate(self.queues):
            shared = self._shared_by_later_frames(frame) if self.repeat else 0
            if self.done[frame] < len(queue):
                self._separate(frame)
            for count, extension in enumerate(queue[self.done[frame] :], start=1):
                last = self.left == 1
                long = extension.id >= _FIRST_LONG
                self.output.append(extension.id << 1 | (not last if long else len(extension.data)))
                self._payload(extension, to_the_end=last)
                self.done[frame] += 1
                if count == shared:
                    self._repeat(frame, shared)
        return bytes(self.output)

    def _shared_by_later_frames(self, frame: int) -> int:
        """How many of a frame's next extensions begin, in kind, the lists of all later frames."""
        waiting = [queue[start:] for queue, start in zip(self.queues[frame:], self.done[frame:], strict=True)]
        if len(waiting) == 1:
            return 0
        shared = 0
        for ours, *others in zip(*waiting, strict=False):
            short = ours.id < _FIRST_LONG
            if any(o.id != ours.id or (short and len(o.data) != len(ours.data)) for o in others):
                break
            shared += 1
        return shared

    def _separate(self, frame: int) -> None:
        step = frame - self.frame
        if step == 1:
            self.output.append(_SEPARATOR << 1)
        elif step > 1:
            self.output += bytes((_SEPARATOR << 1 | 1, step))
        self.frame = frame

    def _repeat(self, frame: int, shared: int) -> None:
        """Write the payloads of the extensions just written for all later frames."""
        source = self.queues[frame][self.done[frame] - shared : self.done[frame]]
        last_long = max((at for at, extension in enumerate(source) if extension.id >= _FIRST_LONG), default=None)
        nothing_follows = self.left == shared * (len(self.queues) - frame - 1)
        frame_is_done = self.done[frame] == len(self.queues[frame])
        ends = nothing_follows or (last_long is None and frame_is_done)
        self.output.append(_REPEAT << 1 | (not ends))
        for later in range(frame + 1, len(self.queues)):
            start = self.done[later]
            for at, extension in enumerate(self.queues[later][start : start + shared]):
                last = ends and later == len(self.queues) - 1 and at == last_long
                self._payload(extension, to_the_end=last)
            self.done[later] += shared
        if ends:
            self.frame += 1

    def _payload(self, extension: Extension, *, to_the_end: bool) -> None:
        size = len(extension.data)
        if extension.id >= _FIRST_LONG and not to_the_end:
            self.output += b"\xff" * (size // 255) + bytes((size % 255,))
        self.output += extension.data
        self.left -= 1
