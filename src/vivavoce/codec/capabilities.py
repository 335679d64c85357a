"""What a libopus can really do, found out by doing it: the table of `vivavoce doctor`.

Symbols prove little. PyAV's libopus 1.6.1 exports the DRED functions, and each answers "unimplemented"; its decoder
takes any complexity and conceals in the same way at all of them, because it was built without the neural networks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from vivavoce.codec.extensions import extensions_of
from vivavoce.codec.library import Libopus
from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.codec.packet import has_lbrr
from vivavoce.errors import VivavoceError

_RATE, _FRAME = 16000, 320
_SET_DRED_DURATION = 4050  # opus_defines.h, since 1.5
_DRED_ID = 126  # of libopus's experimental extension
_NEURAL_COMPLEXITY = 5  # from here on a decoder conceals by a neural network, if it has one


def capabilities(library: Libopus) -> dict[str, bool]:
    """Try each thing that a call may want of a libopus.

    Returns:
        What was tried: whether it worked. A call needs `encode`, `decode`, `conceal` and `lbrr`. `lbrr_symbol` is
        `opus_packet_has_lbrr`, which this package can do without. `decoder_complexity`, `neural_concealment`,
        `dred_encode` and `dred_decode` depend on the version and on how it was built.
    """
    return {name: _works(attempt, library) for name, attempt in _ATTEMPTS.items()}


def _works(attempt: Callable[[Libopus], bool], library: Libopus) -> bool:
    try:
        return attempt(library)
    except VivavoceError:
        return False


def _voice() -> np.ndarray:
    """Half a second of a buzz with two formants and a gliding pitch, which the speech coder takes for a voice."""
    time = np.arange(_RATE // 2) / _RATE
    phase = 2 * np.pi * (120 * time + 20 * time**2)
    harmonics = np.arange(1, 30)
    gains = sum(gain * np.exp(-(((harmonics * 130 - centre) / 400) ** 2)) for gain, centre in ((0.2, 600), (0.1, 1800)))
    return (np.sin(np.outer(phase, harmonics)) @ gains).astype(np.float32)


def _packets(library: Libopus) -> list[bytes]:
    encoder = OpusEncoder(_RATE, inband_fec=True, expected_loss_pct=20, library=library)
    return [encoder.encode(frame) for frame in _voice().reshape(-1, _FRAME)]


def _heard(library: Libopus, count: int, complexity: int | None = None) -> OpusDecoder:
    """A decoder that has heard some packets."""
    decoder = OpusDecoder(_RATE, complexity=complexity, library=library)
    for packet in _packets(library)[:count]:
        decoder.decode(packet)
    return decoder


def _like(heard: np.ndarray, meant: np.ndarray) -> bool:
    """Whether a sound is recognisably the one that was meant."""
    norm = float(np.linalg.norm(heard) * np.linalg.norm(meant))
    return norm > 0 and float(heard @ meant) > 0.5 * norm


def _encode(library: Libopus) -> bool:
    return all(len(packet) > 2 for packet in _packets(library))


def _decode(library: Libopus) -> bool:
    decoder = OpusDecoder(_RATE, library=library)
    decoded = np.concatenate([decoder.decode(packet) for packet in _packets(library)])
    delay = OpusEncoder(_RATE, library=library).delay_samples
    return _like(decoded[delay:], _voice()[:-delay])


def _conceal(library: Libopus) -> bool:
    lost = _heard(library, 12).conceal(_FRAME)
    return bool(np.abs(lost).max() > 1e-3)


def _lbrr(library: Libopus) -> bool:
    packets = _packets(library)
    meant = _heard(library, 12).decode(packets[12])
    return has_lbrr(packets[13]) and _like(_heard(library, 12).decode_lbrr(packets[13], _FRAME), meant)


def _lbrr_symbol(library: Libopus) -> bool:
    packet = _packets(library)[13]
    return library.has("opus_packet_has_lbrr") and library.api.opus_packet_has_lbrr(packet, len(packet)) == 1


def _decoder_complexity(library: Libopus) -> bool:
    OpusDecoder(_RATE, complexity=_NEURAL_COMPLEXITY, library=library)
    return True


def _neural_concealment(library: Libopus) -> bool:
    plain, neural = (_heard(library, 12, at).conceal(_FRAME) for at in (0, _NEURAL_COMPLEXITY))
    return not np.array_equal(plain, neural)


def _dred_encode(library: Libopus) -> bool:
    encoder = OpusEncoder(_RATE, bitrate_bps=64000, expected_loss_pct=20, library=library)
    encoder._state.set(_SET_DRED_DURATION, 100, "DRED")
    packets = [encoder.encode(frame) for frame in _voice().reshape(-1, _FRAME)]
    return any(extension.id == _DRED_ID for packet in packets for extension in extensions_of(packet))


def _dred_decode(library: Libopus) -> bool:
    if not library.has("opus_dred_parse"):
        return False
    api, error, end, packet = library.api, ctypes.c_int(), ctypes.c_int(), _packets(library)[13]
    decoder, dred = (make(ctypes.byref(error)) for make in (api.opus_dred_decoder_create, api.opus_dred_alloc))
    try:
        if not decoder or not dred:
            return False
        # finding none is a success: a library without the decoder's weights answers with an error
        return api.opus_dred_parse(decoder, dred, packet, len(packet), _RATE, _RATE, ctypes.byref(end), 0) >= 0
    finally:
        if dred:
            api.opus_dred_free(dred)
        if decoder:
            api.opus_dred_decoder_destroy(decoder)


_ATTEMPTS: dict[str, Callable[[Libopus], bool]] = {
    "encode": _encode,
    "decode": _decode,
    "conceal": _conceal,
    "lbrr": _lbrr,
    "lbrr_symbol": _lbrr_symbol,
    "decoder_complexity": _decoder_complexity,
    "neural_concealment": _neural_concealment,
    "dred_encode": _dred_encode,
    "dred_decode": _dred_decode,
}
