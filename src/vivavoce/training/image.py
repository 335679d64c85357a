"""Model images: the weights of a trained network as one flat buffer that the core maps into memory.

`core/src/model_image.h` describes the format, `core/src/int8.h` the layout of int8 matrices. A checkpoint (safetensors)
stays the source of truth; an image can be made from it at any time, and the same checkpoint gives the same bytes. Which
tensors a system has, and in which order, its own `image.py` says.

Int8: each row has a scale, `max |w| / 127` in float32, and its weights become `w / scale`, rounded half to even, as
training with rounded weights has it. The core multiplies them with activations that are rounded to `127 x`, so that the
image holds `scale / 127`. A matrix of which an eighth or more of the 16 x 4 blocks are zero is stored without them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

MAGIC = b"VVMODEL\0"
VERSION = 1
PERCEPNET, FARGAN, PREDICTOR, LPCNET, RDOVAE = 1, 2, 3, 4, 5  # kinds of models
FLOAT, INT8, SPARSE_INT8, WHOLE = 1, 2, 3, 4  # kinds of tensors

HEADER = struct.Struct("<8sQQII32sII8II5I")
DIMENSIONS = 8
CHECKSUM_OFFSET = 8
TENSOR = struct.Struct("<4I6Q")
ALIGNMENT = 64
STRIP_ROWS, BLOCK_COLUMNS = 16, 4
LARGEST_NUMBER = 1e6  # what the core accepts
MAX_WIDTH = 1024
DENSE_SHARE = 7 / 8  # of present blocks: where a list of them begins to pay


@dataclass(frozen=True)
class Tensor:
    """One entry of the table, with the bytes that its offsets lead to (None: not used by this kind)."""

    kind: int
    rows: int
    columns: int
    blocks: int
    weights: np.ndarray
    bias: np.ndarray | None = None
    scale: np.ndarray | None = None
    strips: np.ndarray | None = None
    block_columns: np.ndarray | None = None


def image_of(kind: int, metadata: Mapping[str, str], dimensions: Sequence[int], tensors: Sequence[Tensor]) -> bytes:
    """The bytes of a `.vvm` file.

    Args:
        kind: Of the model.
        metadata: `name` (printable ASCII, at most 31 characters), `sample_rate` and `lookahead_frames`, as strings.
        dimensions: Of its layers, at most eight.
        tensors: In the order that the kind defines.

    Raises:
        ValueError: An entry of the metadata is missing or out of range.
    """
    name = metadata.get("name", "")
    if not (0 < len(name) < 32 and name.isascii() and name.isprintable()):
        raise ValueError(f"name must be 1 to 31 printable ASCII characters, got {name!r}")
    sample_rate = _integer(metadata, "sample_rate", 8000, 192000)
    lookahead_frames = _integer(metadata, "lookahead_frames", 0, 100)
    offset = HEADER.size + TENSOR.size * len(tensors)
    table, bodies = b"", []
    for tensor in tensors:
        offsets = []
        for body in (tensor.weights, tensor.bias, tensor.scale, tensor.strips, tensor.block_columns):
            offsets.append(0 if body is None else offset)
            if body is not None:
                data = body.tobytes()
                bodies.append(data + bytes(-len(data) % ALIGNMENT))
                offset += len(bodies[-1])
        table += TENSOR.pack(tensor.kind, tensor.rows, tensor.columns, tensor.blocks, *offsets, 0)
    header = HEADER.pack(
        *(MAGIC, 0, offset, VERSION, kind, name.encode(), sample_rate, lookahead_frames),
        *(*dimensions, *[0] * (DIMENSIONS - len(dimensions)), len(tensors), 0, 0, 0, 0, 0),
    )
    image = header + table + b"".join(bodies)
    return image[:CHECKSUM_OFFSET] + struct.pack("<Q", checksum(image)) + image[CHECKSUM_OFFSET + 8 :]


def checksum(image: bytes) -> int:
    """ImageChecksum of model_image.h: 64 bits of all bytes, those of the checksum itself counted as zeros.

    Args:
        image: A multiple of 64 bytes.

    Returns:
        The checksum that the header must hold.
    """
    start, prime, mask = 0xCBF29CE484222325, 0x100000001B3, 2**64 - 1

    def step(hash_: int, word: int) -> int:
        return ((hash_ << 29 & mask | hash_ >> 35) ^ word) * prime & mask

    words = np.frombuffer(image, "<u8").copy()
    words[CHECKSUM_OFFSET // 8] = 0
    lanes = [reduce(step, words[lane::8].tolist(), start) for lane in range(8)]
    return reduce(step, lanes, start)


def quantise(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int8, symmetric, with a scale for each row.

    Args:
        weights: Shape (rows, columns), float32.

    Returns:
        Integers in [-127, 127], shape (rows, columns), int8, and scales, shape (rows,), float32, such that their
        product is near the weights. A row of zeros has scale 0.
    """
    scale = np.abs(weights).max(axis=1) / np.float32(127)
    # a row whose scale underflows has no weights either
    divisor = np.where(scale > 0, scale, np.float32(np.inf))
    integers = np.clip(np.rint(weights / divisor[:, None]), -127, 127).astype(np.int8)
    return integers, scale


def float_tensor(weights: np.ndarray, bias: np.ndarray) -> Tensor:
    """A matrix, shape (rows, columns), and the bias of each row, as they are."""
    rows, columns = weights.shape
    strips = _whole_strips(weights).reshape(-1, STRIP_ROWS, columns)
    columns_first = np.ascontiguousarray(strips.transpose(0, 2, 1), "<f4")
    return Tensor(FLOAT, rows, columns, 0, columns_first, _whole_strips(bias).astype("<f4"))


def whole_tensor(numbers: np.ndarray) -> Tensor:
    """A table of whole numbers, shape (rows, columns), as they are."""
    rows, columns = numbers.shape
    return Tensor(WHOLE, rows, columns, 0, np.ascontiguousarray(numbers, "<i4"))


def int8_tensor(weights: np.ndarray, bias: np.ndarray) -> Tensor:
    """The same, the matrix rounded to int8."""
    rows, columns = weights.shape
    integers, scale = quantise(weights)
    integers = np.pad(_whole_strips(integers), ((0, 0), (0, -columns % BLOCK_COLUMNS)))
    strips = integers.reshape(len(integers) // STRIP_ROWS, STRIP_ROWS, -1, BLOCK_COLUMNS)
    blocks = np.ascontiguousarray(strips.transpose(0, 2, 1, 3))  # strip, block, row, column
    present = blocks.any(axis=(2, 3))
    bias, scale = (_whole_strips(numbers).astype("<f4") for numbers in (bias, scale / np.float32(127)))
    if present.mean() > DENSE_SHARE:
        return Tensor(INT8, rows, columns, present.size, blocks, bias, scale)
    ends = np.cumsum(present.sum(axis=1), dtype="<u4")
    return Tensor(
        SPARSE_INT8,
        rows,
        columns,
        int(present.sum()),
        blocks[present],
        bias,
        scale,
        strips=np.concatenate([np.zeros(1, "<u4"), ends]).astype("<u4"),
        block_columns=np.nonzero(present)[1].astype("<u2"),
    )


def checked(arrays: Mapping[str, np.ndarray], name: str, *shape: int) -> np.ndarray:
    """The array `name`, float32 of that shape.

    Raises:
        ValueError: It is missing, another one or not finite.
    """
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    array = np.asarray(arrays[name])
    if array.shape != shape or array.dtype != np.float32:
        raise ValueError(f"{name} must be float32 of shape {shape}, got {array.dtype} of shape {array.shape}")
    if not (np.abs(array) <= LARGEST_NUMBER).all():
        raise ValueError(f"{name} must be finite and within {LARGEST_NUMBER:g}")
    return array


def width_of(arrays: Mapping[str, np.ndarray], name: str, parts: int = 1, axis: int = 0) -> int:
    """Width of a layer that is read off the matrix `name`, of which a side holds so many parts.

    Raises:
        ValueError: It is no width that the core has layers of.
    """
    shape = np.shape(arrays[name]) if name in arrays else ()
    length = shape[axis] if len(shape) > 1 else 0
    width = length // parts
    if not 0 < width <= MAX_WIDTH or width * parts != length or width % STRIP_ROWS:
        side = ("rows", "columns")[axis]
        raise ValueError(
            f"{name} must have {parts} times a multiple of {STRIP_ROWS} up to {MAX_WIDTH} {side}, got {length}"
        )
    return width


def _integer(metadata: Mapping[str, str], key: str, low: int, high: int) -> int:
    text = metadata.get(key, "")
    if not (text.isdecimal() and low <= int(text) <= high):
        raise ValueError(f"{key} must be from {low} to {high}, got {text!r}")
    return int(text)


def _whole_strips(array: np.ndarray) -> np.ndarray:
    """Rows of zeros appended up to whole strips."""
    missing = -len(array) % STRIP_ROWS
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])
