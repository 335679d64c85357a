"""What a second implementation has to find in payloads, docs/dred-vectors.json, found by ours, on every path."""

import json
from hashlib import sha256

import numpy as np
import pytest

pytest.importorskip("torch")

from make_dred_vectors import VECTORS, crc32

from vivavoce._core import DredEncoder, DredReader, Model, RdoVaeNetwork, int8_paths
from vivavoce.errors import PacketError
from vivavoce.models import find_model
from vivavoce.redundancy.dred import DredReceiver
from vivavoce.redundancy.image import payload_model
from vivavoce.redundancy.payload import MAX_MAGNITUDE, DredPayload
from vivavoce.training.export import read_weights

FILE = json.loads(VECTORS.read_text())
NUMBERS = range(len(FILE["vectors"]))


@pytest.fixture(scope="module")
def path():
    return find_model(FILE["model"])


@pytest.fixture(scope="module")
def model(path):
    return Model(str(path))


def test_they_are_of_the_shipped_model(path):
    assert sha256(path.read_bytes()).hexdigest() == FILE["model_sha256"]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_reference_reads_and_writes_them(path, number):
    vector = FILE["vectors"][number]
    tables = payload_model(read_weights(path.with_suffix(".safetensors"))[0], vector["model_id"])
    said = DredPayload.parse(bytes.fromhex(vector["payload"]), tables)
    assert said.offset == vector["offset"]
    assert [said.levels.level(chunk) for chunk in range(len(said.latents))] == vector["levels"]
    assert list(said.state) == vector["state"]
    assert [list(latent) for latent in said.latents] == vector["latents"]
    assert (said.write(tables).hex() == vector["payload"]) == vector["as_we_write"]
    assert DredPayload.parse(said.write(tables), tables) == said


@pytest.mark.parametrize("number", NUMBERS)
def test_the_core_decodes_them_bit_for_bit(model, number):
    vector = FILE["vectors"][number]
    reader = DredReader(model, bytes.fromhex(vector["payload"]))
    assert reader.offset == vector["offset"]
    features = np.array([reader.features(chunk) for chunk in range(reader.chunks)])
    np.testing.assert_array_equal(features[0, -1], np.array(vector["newest_frame"], np.float32))
    assert crc32(features) == vector["features_crc32"]


@pytest.mark.parametrize("path_name", int8_paths())
@pytest.mark.parametrize("number", NUMBERS)
def test_every_path_decodes_the_same_bits(model, number, path_name):
    vector = FILE["vectors"][number]
    state, latents = (np.array(vector[name], np.int8) for name in ("state", "latents"))
    features = RdoVaeNetwork(model, path_name).decode(state[None], latents, vector["levels"])
    assert crc32(features) == vector["features_crc32"]


@pytest.mark.parametrize("refused", FILE["refused"], ids=lambda refused: refused["why"])
def test_what_has_to_be_ignored_is(path, model, refused):
    payload = bytes.fromhex(refused["payload"])
    tables = payload_model(read_weights(path.with_suffix(".safetensors"))[0], FILE["vectors"][0]["model_id"])
    with pytest.raises(PacketError):
        DredPayload.parse(payload, tables)
    with pytest.raises(ValueError, match="DRED"):
        DredReader(model, payload)
    assert DredReceiver().redundancy_of(0, b"", payload) is None


def test_no_number_of_speech_reaches_its_limit(path, model, speech_16k):
    tables = payload_model(read_weights(path.with_suffix(".safetensors"))[0], FILE["vectors"][0]["model_id"])
    encoder, numbers = DredEncoder(model), []
    for gain in (0.1, 1.0, 3.0):
        encoder.push(np.clip(np.float32(gain) * speech_16k[:32_000], -1, 1))
        payload = DredPayload.parse(encoder.write(0, 0, 0, 0, 0, 26), tables)
        numbers += [*payload.state, *(number for latent in payload.latents for number in latent)]
    assert np.abs(numbers).max() > 20
    assert (np.abs(numbers) == MAX_MAGNITUDE).mean() < 1e-3
