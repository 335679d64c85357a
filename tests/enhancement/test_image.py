"""Model images as the exporter writes them and the core reads them."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from checkpoints import METADATA, TINY, random_checkpoint, random_features
from vivavoce._core import Model, PercepNetNetwork
from vivavoce.enhancement.image import model_image
from vivavoce.training.image import checksum, quantise

HEADER_BYTES, TENSOR_BYTES, TENSORS = 128, 64, 15
IMAGE = model_image(random_checkpoint(zero_blocks=0.3), METADATA)  # dense and sparse matrices


def tensor(image, index):
    """Kind, rows, columns, blocks, offsets of weights, bias, scale, strips and columns, and a zero."""
    return struct.unpack_from("<4I6Q", image, HEADER_BYTES + TENSOR_BYTES * index)


def sealed(image):
    return bytes(image[:8]) + struct.pack("<Q", checksum(bytes(image))) + bytes(image[16:])


def runs_or_is_refused(image):
    try:
        model = Model.from_bytes(image)
    except ValueError as error:
        assert "no model image of this version, or damaged" in str(error)  # noqa: PT017
        return
    for column in PercepNetNetwork(model).run(random_features(3)):
        assert ((column >= 0) & (column <= 1)).all()


def test_the_header_is_what_the_format_says():
    assert IMAGE[:8] == b"VVMODEL\0"
    size, version, kind, name, sample_rate, lookahead = struct.unpack_from("<QII32sII", IMAGE, 16)
    assert (size, version, kind, sample_rate, lookahead) == (len(IMAGE), 1, 1, 48000, 2)
    assert name == b"percepnet-test-v1".ljust(32, b"\0")
    assert struct.unpack_from("<8II5I", IMAGE, 72) == (70, 34, *TINY, 0, 0, TENSORS, 0, 0, 0, 0, 0)
    assert struct.unpack_from("<Q", IMAGE, 8)[0] == checksum(IMAGE)
    model = Model.from_bytes(IMAGE)
    assert (model.name, model.sample_rate, model.lookahead_frames) == ("percepnet-test-v1", 48000, 2)
    assert model.sizes == TINY


def test_blocks_are_16_rows_by_4_columns():
    arrays = random_checkpoint()
    integers, scale = quantise(arrays["gains.weight"])
    image = model_image(arrays, METADATA)
    kind, rows, columns, blocks, weights, bias, scales, *unused = tensor(image, 13)
    assert (kind, rows, columns, blocks, unused) == (2, 35, 32 + 4 * 48, 3 * 56, [0, 0, 0])
    assert weights % 64 == bias % 64 == scales % 64 == 0
    stored = np.frombuffer(image, np.int8, blocks * 64, weights).reshape(3, 56, 16, 4)
    for row, column in [(0, 0), (1, 0), (15, 3), (16, 4), (34, 223)]:
        assert stored[row // 16, column // 4, row % 16, column % 4] == integers[row, column]
    assert not stored[2, :, 3:].any()  # rows 35 to 47
    np.testing.assert_array_equal(np.frombuffer(image, "<f4", 35, scales), scale / np.float32(127))
    np.testing.assert_array_equal(np.frombuffer(image, "<f4", 35, bias), arrays["gains.bias"])


def test_the_first_matrix_stays_float():
    arrays = random_checkpoint()
    image = model_image(arrays, METADATA)
    kind, rows, columns, blocks, weights, *_ = tensor(image, 0)
    assert (kind, rows, columns, blocks) == (1, 16, 70, 0)
    np.testing.assert_array_equal(
        np.frombuffer(image, "<f4", 70 * 16, weights).reshape(70, 16), arrays["input.weight"].T
    )


def test_taps_of_a_convolution_become_frames_oldest_first():
    arrays = random_checkpoint()
    arrays["conv1.weight"][...] = 0
    arrays["conv1.weight"][3, 7, 4] = 1  # output 3, input 7, newest frame
    kind, rows, columns, blocks, weights, *_, strips, block_columns, _ = tensor(
        image := model_image(arrays, METADATA), 1
    )
    assert (kind, rows, columns, blocks) == (3, 32, 80, 1)
    assert struct.unpack_from("<3I", image, strips) == (0, 1, 1)
    assert struct.unpack_from("<H", image, block_columns) == ((4 * 16 + 7) // 4,)
    assert image[weights + 3 * 4 + 7 % 4] == 127


def test_blocks_of_zeros_are_left_out():
    sizes = [
        len(model_image(random_checkpoint((16, 64, 64, 16), zero_blocks=share), METADATA)) for share in (0, 0.1, 0.5)
    ]
    assert sizes[0] == sizes[1]  # no list for a few of them
    assert sizes[2] < 0.8 * sizes[1]


@given(arrays_of.arrays(np.float32, (3, 8), elements=st.floats(-1e6, 1e6, width=32)))
def test_rounded_weights_are_within_half_a_step(weights):
    integers, scale = quantise(weights)
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(int)).max() <= 127
    error = np.abs(integers * scale.astype(np.float64)[:, None] - weights)
    assert (error <= 0.5001 * scale[:, None] + 1e-38).all()


def test_halves_are_rounded_to_even():
    integers, scale = quantise(np.array([[127, 0.5, 1.5, -2.5, -0.5], [0, 0, 0, 0, 0]], np.float32))
    assert integers.tolist() == [[127, 0, 2, -2, 0], [0, 0, 0, 0, 0]]
    assert scale.tolist() == [1, 0]


def test_the_same_checkpoint_gives_the_same_bytes():
    assert model_image(random_checkpoint(zero_blocks=0.3), dict(reversed(METADATA.items()))) == IMAGE


def test_every_byte_counts():
    for offset in range(0, len(IMAGE), 7):
        damaged = bytearray(IMAGE)
        damaged[offset] ^= 0x10
        with pytest.raises(ValueError, match="damaged"):
            Model.from_bytes(bytes(damaged))


def test_every_truncation_is_refused():
    for size in [*range(0, 2048), *range(2048, len(IMAGE), 31)]:
        with pytest.raises(ValueError, match="damaged"):
            Model.from_bytes(IMAGE[:size])


@given(st.data())
def test_changes_with_a_right_checksum_are_refused_or_harmless(data):
    table = HEADER_BYTES + TENSOR_BYTES * TENSORS
    changed = bytearray(IMAGE)
    for _ in range(data.draw(st.integers(1, 3))):
        offset = 4 * data.draw(st.integers(0, table // 4 - 1))
        value = data.draw(st.integers(0, 2**32 - 1) | st.integers(0, 8192) | st.just(len(IMAGE)))
        struct.pack_into("<I", changed, offset, value)
    runs_or_is_refused(sealed(changed))


@given(st.data())
def test_bodies_with_a_right_checksum_are_refused_or_harmless(data):
    changed = bytearray(IMAGE)
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(0, len(IMAGE) - 1))] = data.draw(st.integers(0, 255))
    runs_or_is_refused(sealed(changed))


@given(st.binary(max_size=512))
def test_any_bytes_are_refused(junk):
    with pytest.raises(ValueError, match="damaged"):
        Model.from_bytes(junk)


def test_a_file_is_mapped(tmp_path):
    path = tmp_path / "Größe.vvm"
    path.write_bytes(IMAGE)
    features = random_features(10)
    want = PercepNetNetwork(Model.from_bytes(IMAGE)).run(features)
    for spelling in (path, str(path), str(path).encode()):
        for mine, theirs in zip(PercepNetNetwork(Model(spelling)).run(features), want, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_stream_outlives_its_model_and_the_name_of_its_file(tmp_path):
    path = tmp_path / "model.vvm"
    path.write_bytes(IMAGE)
    stream = PercepNetNetwork(Model(path))
    path.unlink()
    assert np.isfinite(stream.run(random_features(3))[0]).all()


def test_what_is_no_model_file_is_refused(tmp_path):
    for path in (tmp_path / "missing.vvm", tmp_path):
        with pytest.raises(OSError, match="can be read"):
            Model(path)
    empty, other = tmp_path / "empty.vvm", tmp_path / "other.vvm"
    empty.touch()
    with pytest.raises(OSError, match="can be read"):
        Model(empty)
    other.write_bytes(b"RIFF" * 100)
    with pytest.raises(ValueError, match=r"other\.vvm is no model image"):
        Model(other)
    with pytest.raises(TypeError):
        Model(7)
    with pytest.raises(ValueError, match="embedded null"):
        Model("a\0b")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("system", "fargan", "must name the system percepnet, got 'fargan'"),
        ("name", "", "1 to 31 printable ASCII"),
        ("name", "x" * 32, "1 to 31 printable ASCII"),
        ("name", "größe", "1 to 31 printable ASCII"),
        ("name", "a\nb", "1 to 31 printable ASCII"),
        ("sample_rate", "48k", "sample_rate must be from 8000 to 192000, got '48k'"),
        ("lookahead_frames", "-1", "lookahead_frames must be from 0 to 100, got '-1'"),
    ],
)
def test_metadata_that_says_nothing_is_refused(key, value, message):
    with pytest.raises(ValueError, match=message):
        model_image(random_checkpoint(), {**METADATA, key: value})
    with pytest.raises(ValueError, match=key if key != "system" else "percepnet"):
        model_image(random_checkpoint(), {name: text for name, text in METADATA.items() if name != key})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gru2.weight_hh", lambda w: w[:-1], r"gru2.weight_hh must be float32 of shape \(144, 48\)"),
        ("gru2.weight_ih", lambda w: w.astype(np.float64), "gru2.weight_ih must be float32 .* got float64"),
        ("conv1.weight", lambda w: w[..., 0], r"conv1.weight must have 3 dimensions"),
        ("input.weight", lambda w: w[:15], r"input.weight .* multiple of 16 up to 1024, got shape \(15, 70\)"),
        ("gains.bias", lambda b: b + np.float32(np.nan), "gains.bias must be finite"),
        ("conv2.weight", lambda w: w * np.float32(1e30), "conv2.weight must be finite and within 1e\\+06"),
        ("strengths.bias", None, "strengths.bias is missing"),
        ("gru1.weight_hh", None, "gru1.weight_hh"),
    ],
)
def test_another_network_is_refused(name, change, message):
    arrays = random_checkpoint()
    array = arrays.pop(name)
    if change is not None:
        arrays[name] = change(array)
    with pytest.raises(ValueError, match=message):
        model_image(arrays, METADATA)
