"""Writes docs/dred-vectors.json anew: payloads of the shipped model with all that a decoder must find in them.

    python tests/make_dred_vectors.py

Only for a model that was not released yet: vectors of released models stay for ever.
"""

import json
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile

from vivavoce._core import DredEncoder, DredReader, Model
from vivavoce.models import find_model
from vivavoce.redundancy.dred import MODEL
from vivavoce.redundancy.entropy import CERTAIN
from vivavoce.redundancy.image import payload_model
from vivavoce.redundancy.payload import MAX_MAGNITUDE, MAX_PAYLOAD, DredPayload, LevelSchedule, model_id, with_check
from vivavoce.training.export import read_weights

VECTORS = Path(__file__).parents[1] / "docs/dred-vectors.json"
SPEECH = Path(__file__).parent / "data/speech-16k.flac"
HEARD_S = 2.0
# age, offset, first level, slope, last level, chunks
WRITTEN = [
    (0, 0, 0, 0, 0, 26),
    (0, 6, 3, 2, 15, 26),
    (1, 14, 6, 4, 12, 13),
    (3, -6, 9, 7, 15, 20),
    (40, 191, 12, 1, 13, 5),
    (2, -64, 15, 0, 15, 1),
    (0, 3, 2, 3, 9, 26),
    (1, 0, 5, 5, 10, 18),
    (0, 40, 1, 6, 14, 22),
    (0, 0, 3, 2, 9, 1),  # a last level that no chunk reaches
    (0, 0, 15, 1, 15, 4),  # and one that is the first already
    (0, 0, 7, 3, 7, 4),
]


def crc32(features):
    """Of float32, little-endian, in the order of time within chunks, the newest chunk first."""
    return zlib.crc32(np.ascontiguousarray(features, "<f4").tobytes())


def vector(model, reference, payload):
    said, reader = DredPayload.parse(payload, reference), DredReader(model, payload)
    features = np.array([reader.features(chunk) for chunk in range(reader.chunks)])
    return {
        "payload": payload.hex(),
        "as_we_write": said.write(reference) == payload,
        "model_id": model_id(payload),
        "offset": said.offset,
        "levels": [said.levels.level(chunk) for chunk in range(len(said.latents))],
        "state": list(said.state),
        "latents": [list(latent) for latent in said.latents],
        "newest_frame": [float(number) for number in features[0, -1]],
        "features_crc32": crc32(features),
    }


def main():
    path = find_model(MODEL)
    model = Model(str(path))
    reference = payload_model(read_weights(path.with_suffix(".safetensors"))[0], model_id(written(model, WRITTEN[0])))
    payloads = [*(written(model, arguments) for arguments in WRITTEN), largest(reference)]
    payloads += [followed(payloads[0], 3), followed(payloads[3], MAX_PAYLOAD - len(payloads[3]))]
    payloads += [reads_on(reference, payloads, excess) for excess in (1, 0)]
    vectors = [vector(model, reference, payload) for payload in payloads]
    head = {"model": MODEL, "model_sha256": sha256(path.read_bytes()).hexdigest()}
    lines, no_lines = (
        ",\n".join(json.dumps(each) for each in part) for part in (vectors, refused(reference, payloads))
    )
    VECTORS.write_text(f'{json.dumps(head)[:-1]}, "vectors": [\n{lines}\n], "refused": [\n{no_lines}\n]}}\n')


def written(model, arguments):
    encoder = DredEncoder(model)
    encoder.push(soundfile.read(SPEECH, dtype="float32")[0][: round(16_000 * HEARD_S)])
    return encoder.write(*arguments)


def largest(reference):
    """Numbers as large as can be sent, of either sign, and as many as can be of the dimensions that are sent."""

    def vector_of(tables, level, sign):
        sent = tables.zero[level] < CERTAIN
        return tuple(sign * MAX_MAGNITUDE * (-1) ** place if sent[place] else 0 for place in range(len(sent)))

    levels = LevelSchedule(4, 2, 6)
    latents = tuple(vector_of(reference.latent, levels.level(chunk), 1 - 2 * (chunk % 2)) for chunk in range(5))
    return DredPayload(0, levels, vector_of(reference.state, levels.first, -1), latents).write(reference)


def followed(payload, count):
    """With so many bytes behind its last symbol."""
    return with_check(payload + b"\xff" * count)


def reads_on(reference, payloads, excess):
    """One of which so many bits are read behind its last byte, where not all of them are 0 in what was written."""
    for payload in payloads:
        whole = DredPayload.parse(payload, reference)
        for chunks in range(2, len(whole.latents) + 1):
            written = whole.shortened(chunks).write(reference)
            cut = with_check(written[:-1])
            said, more = DredPayload.read(cut, reference)
            if more == excess and len(said.latents) == chunks and said != whole.shortened(chunks):
                return cut
    raise ValueError(f"no payload of which {excess} bits are read behind its end")


def refused(reference, payloads):
    """Payloads that a receiver has to ignore, and why."""
    payload = payloads[0]
    other = bytes([payload[1] ^ 1])
    return [
        {"payload": said.hex(), "why": why}
        for why, said in {
            "shorter than its header": payload[:3],
            "another first byte": with_check(b"W" + payload[1:]),
            "another version": with_check(payload[:1] + bytes([payload[1] + 0x20]) + payload[2:]),
            "another model": with_check(payload[:1] + other + payload[2:]),
            "a wrong check": payload[:-1] + bytes([payload[-1] ^ 1]),
            "ends before what it says": with_check(payload[:-4]),
            "ends two bits before what it says": reads_on(reference, payloads, 2),
            "longer than 4096 bytes": with_check(payload + bytes(4097 - len(payload))),
        }.items()
    ]


if __name__ == "__main__":
    main()
