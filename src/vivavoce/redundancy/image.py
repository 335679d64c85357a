"""The model image of a trained RDO-VAE: `vivavoce.training.image` with the tensors and tables that its engine reads.

Numbers that are 0 at every level, because the training found that they are not worth their bits, are left out of the
vectors, and the rows and columns of the networks that belong to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vivavoce.redundancy.entropy import CERTAIN
from vivavoce.redundancy.payload import LEVELS, PayloadModel, SymbolTables
from vivavoce.signal.cepstrum import FEATURES
from vivavoce.training.image import (
    RDOVAE,
    Tensor,
    checked,
    float_tensor,
    image_of,
    int8_tensor,
    whole_tensor,
    width_of,
)

LAYERS = 5
STRIDE, CHUNK = 2, 4  # frames of an encoder step, and those that a latent vector describes
UNIT = 65_536  # of scales and dead zones
LEARNED = 10.0  # times what a quantiser learns: an optimiser moves all numbers alike, and these have further to go
DEAD_ZONE = 0.05  # times softplus of what is learned
MAX_DECAY = 0.995  # of the distribution: wider ones would cost too little to train
NEVER = 0.998  # a number that is 0 so often is not sent


@dataclass(frozen=True, eq=False)
class QuantiserTables:
    """What a quantiser does, in whole numbers: each of shape (16, dimensions), int32.

    Attributes:
        scale: Steps per unit, in 1/65536.
        dead_zone: Half of its width in steps, in 1/65536.
        zero: Probability of 0, in 1/32768; 32768 where nothing is sent.
        more: Of a magnitude being above another, in 1/32768.
        kept: Which dimensions of the network these are.
    """

    scale: np.ndarray
    dead_zone: np.ndarray
    zero: np.ndarray
    more: np.ndarray
    kept: np.ndarray


def quantiser_tables(arrays: Mapping[str, np.ndarray], name: str) -> QuantiserTables:
    """Tables of the quantiser `name`, without the dimensions that are 0 at every level.

    Raises:
        ValueError: An array is missing or not what the network has, or no dimension is left.
    """
    shape = np.shape(arrays.get(f"{name}.scale", ()))
    if len(shape) != 2 or not 2 <= shape[0] <= LEVELS:
        raise ValueError(f"{name}.scale must have two dimensions, got shape {shape}")
    knots = shape[0]
    place = np.arange(LEVELS) / (LEVELS - 1) * (knots - 1)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(knots)))
    curves = {
        part: LEARNED * (weights @ checked(arrays, f"{name}.{part}", *shape))
        for part in ("scale", "dead_zone", "decay", "zero")
    }
    decay = MAX_DECAY * _sigmoid(curves["decay"])
    zero = 1 - decay ** (0.5 + 0.5 * _sigmoid(curves["zero"]))
    counts = np.where(zero > NEVER, CERTAIN, np.clip(np.rint(CERTAIN * zero), 1, CERTAIN - 1))
    kept = np.flatnonzero((counts < CERTAIN).any(axis=0))
    if not len(kept):
        raise ValueError(f"{name} sends nothing")

    def whole(numbers: np.ndarray, low: int, high: int) -> np.ndarray:
        return np.clip(np.rint(numbers[:, kept]), low, high).astype(np.int32)

    return QuantiserTables(
        whole(UNIT * np.logaddexp(0, curves["scale"]), 1, 2**31 - 1),
        whole(UNIT * DEAD_ZONE * np.logaddexp(0, curves["dead_zone"]), 0, 2**31 - 1),
        whole(counts, 1, CERTAIN),
        whole(CERTAIN * decay, 1, CERTAIN - 1),
        kept,
    )


def payload_model(arrays: Mapping[str, np.ndarray], model_id: int) -> PayloadModel:
    """What payloads of an RDO-VAE are written and read with by the reference.

    Args:
        arrays: As of `rdovae_image`.
        model_id: By which payloads tell models apart.
    """
    tables = [quantiser_tables(arrays, f"{name}_quantiser") for name in ("latent", "state")]
    return PayloadModel(model_id, *(SymbolTables(part.zero, part.more) for part in tables))


def rdovae_image(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The image of an RDO-VAE's checkpoint.

    Args:
        arrays: The state dict of `vivavoce.redundancy.rdovae.RdoVae`, float32.
        metadata: `system` ("rdovae"), `name` (printable ASCII, at most 31 characters), `sample_rate` and `model_id`, by
            which payloads tell models apart, from 0 to 31.

    Returns:
        The bytes of a `.vvm` file.

    Raises:
        ValueError: An array or an entry of the metadata is missing, not finite or not what the network has.
    """
    if metadata.get("system") != "rdovae":
        raise ValueError(f"metadata must name the system rdovae, got {metadata.get('system')!r}")
    model_id = metadata.get("model_id", "")
    if not (model_id.isdecimal() and int(model_id) < 32):
        raise ValueError(f"model_id must be from 0 to 31, got {model_id!r}")
    latent, state = (quantiser_tables(arrays, f"{name}_quantiser") for name in ("latent", "state"))
    encoder = width_of(arrays, "encoder.layers.0.gru.weight_hh_l0", axis=1)
    decoder = width_of(arrays, "decoder.layers.0.gru.weight_hh_l0", axis=1)
    first, hidden = 3 * decoder // 2, 2 * decoder
    tensors = [_table(latent), _table(state)]

    def dense(name: str, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        return checked(arrays, f"{name}.weight", rows, columns), checked(arrays, f"{name}.bias", rows)

    def layers(part: str, width: int, gru: int, convolution: int, *, gated: bool) -> int:
        for index in range(LAYERS):
            tensors.extend(_layer(arrays, f"{part}.layers.{index}", width, gru, convolution, gated=gated))
            width += gru + convolution
        return width

    tensors.append(float_tensor(*dense("encoder.first", 2 * encoder, STRIDE * FEATURES)))
    width = layers("encoder", 2 * encoder, encoder, 2 * encoder, gated=False)
    sizes = [np.shape(arrays[f"{name}_quantiser.scale"])[1] for name in ("latent", "state")]
    weights, bias = dense("encoder.latent", sizes[0], width)
    tensors.append(int8_tensor(weights[latent.kept], bias[latent.kept]))
    direct = checked(arrays, "encoder.direct.weight", sizes[0], CHUNK * FEATURES)[latent.kept]
    tensors.append(float_tensor(direct, np.zeros(len(direct), np.float32)))
    tensors.append(int8_tensor(*dense("encoder.hidden_state", hidden, width)))
    weights, bias = dense("encoder.state", sizes[1], hidden)
    tensors.append(int8_tensor(weights[state.kept], bias[state.kept]))
    weights, bias = dense("decoder.first", first, sizes[0] + 1)
    tensors.append(float_tensor(weights[:, [*latent.kept, -1]], bias))
    width = layers("decoder", first, decoder, decoder // 2, gated=True)
    tensors.append(int8_tensor(*dense("decoder.output", CHUNK * FEATURES, width)))
    direct = checked(arrays, "decoder.direct.weight", CHUNK * FEATURES, sizes[0])[:, latent.kept]
    tensors.append(float_tensor(direct, np.zeros(len(direct), np.float32)))
    weights, bias = dense("decoder.hidden_state", hidden, sizes[1])
    tensors.append(float_tensor(weights[:, state.kept], bias))
    tensors.append(int8_tensor(*dense("decoder.states", LAYERS * decoder, hidden)))
    dimensions = (encoder, decoder, len(latent.kept), len(state.kept), int(model_id))
    return image_of(RDOVAE, {**metadata, "lookahead_frames": "0"}, dimensions, tensors)


def _layer(
    arrays: Mapping[str, np.ndarray], name: str, inputs: int, gru: int, convolution: int, *, gated: bool
) -> list[Tensor]:
    tensors = []
    for side, columns in (("ih", inputs), ("hh", gru)):
        weights = checked(arrays, f"{name}.gru.weight_{side}_l0", 3 * gru, columns)
        tensors.append(int8_tensor(weights, checked(arrays, f"{name}.gru.bias_{side}_l0", 3 * gru)))
    if gated:
        tensors.append(int8_tensor(checked(arrays, f"{name}.glu.weight", gru, gru), np.zeros(gru, np.float32)))
    weights = checked(arrays, f"{name}.dense.weight", convolution, inputs + gru)
    tensors.append(int8_tensor(weights, checked(arrays, f"{name}.dense.bias", convolution)))
    taps = checked(arrays, f"{name}.convolution.weight", convolution, convolution, 2)
    weights = np.concatenate([taps[..., 0], taps[..., 1]], axis=1)
    return [*tensors, int8_tensor(weights, checked(arrays, f"{name}.convolution.bias", convolution))]


def _table(tables: QuantiserTables) -> Tensor:
    return whole_tensor(np.concatenate([tables.scale, tables.dead_zone, tables.zero, tables.more]))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
