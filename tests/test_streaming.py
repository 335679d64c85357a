"""`Reblocked`: any block, rate and kind of samples in, the same out, as late as it says."""

import copy
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce import Processor, Reblocked

RATES = [8_000, 16_000, 24_000, 32_000, 44_100, 48_000]
FORMS = ["float32", "int16", "bytes", "bytearray", "memoryview", "memoryview of shorts"]


class Delay:
    """The plainest processor: `delay_samples` late, times `gain`."""

    def __init__(self, sample_rate=48_000, frame_samples=480, delay_samples=1440, gain=1.0):
        self.sample_rate, self.frame_samples, self.delay_samples = sample_rate, frame_samples, delay_samples
        self._gain = np.float32(gain)
        self.reset()

    def process(self, frame):
        assert frame.shape == (self.frame_samples,)
        assert frame.dtype == np.float32
        self._held = np.concatenate([self._held, frame * self._gain])
        out, self._held = self._held[: len(frame)], self._held[len(frame) :]
        return out

    def flush(self):
        return self._held

    def reset(self):
        self._held = np.zeros(self.delay_samples, np.float32)


PROCESSORS = {
    "30 ms at 48 kHz": lambda: Delay(),
    "48 kHz, no delay": lambda: Delay(48_000, 480, 0),
    "48 kHz, an odd delay": lambda: Delay(48_000, 480, 101),
    "16 kHz": lambda: Delay(16_000, 160, 77),
    "16 kHz, an odd frame": lambda: Delay(16_000, 227, 5),
}


def noise(*shape, seed=0):
    """Quiet enough that no filter makes it saturate."""
    return np.random.default_rng(seed).uniform(-0.4, 0.4, shape).astype(np.float32)


def tones(count, rate, band=8_000):
    """Nine tones within the pass band of a way through `band` Hz, and without a period that could hide a shift."""
    time_s = np.arange(count) / rate
    hertz = np.geomspace(60, 0.8 * min(rate, band) / 2, 9)
    return np.mean([np.sin(2 * np.pi * f * time_s + k) for k, f in enumerate(hertz)], axis=0).astype(np.float32)


def encode(form, planes):
    """(channels, samples) of float32 as a block of this form."""
    if form == "float32":
        return planes[0] if len(planes) == 1 else planes
    integers = np.rint(planes * 32_768).astype(np.int16)
    if form == "int16":
        return integers[0] if len(planes) == 1 else integers
    data = integers.T.astype("<i2").tobytes()
    if form == "memoryview of shorts":
        return memoryview(integers.T.tobytes()).cast("h")
    return {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview}[form](data)


def decode(form, block, channels):
    """The inverse: (channels, samples), float32."""
    if form == "float32":
        return block.reshape(channels, -1)
    if form == "int16":
        return block.reshape(channels, -1) / np.float32(32_768)
    return np.frombuffer(block, "<i2").reshape(-1, channels).T / np.float32(32_768)


def in_blocks(reblocked, samples, sizes):
    """Shape (samples,) through blocks of these sizes, again and again."""
    parts, taken = [], 0
    while taken < len(samples):
        for size in sizes:
            parts.append(reblocked.process(samples[taken : taken + size]))
            taken += size
    return np.concatenate(parts)


def test_the_toy_is_a_processor():
    assert isinstance(Delay(), Processor)


@settings(max_examples=150)
@given(
    rate=st.sampled_from(RATES),
    processor=st.sampled_from(list(PROCESSORS)),
    channels=st.integers(1, 3),
    blocks=st.lists(st.tuples(st.sampled_from(FORMS), st.integers(0, 1500)), max_size=8),
)
def test_every_block_comes_back_as_what_it_was_with_as_many_samples(rate, processor, channels, blocks):
    reblocked = Reblocked([PROCESSORS[processor]() for _ in range(channels)], sample_rate=rate)
    total = sum(size for _, size in blocks)
    source = noise(channels, total)
    returned, taken = [np.zeros((channels, 0), np.float32)], 0
    for form, size in blocks:
        block = encode(form, source[:, taken : taken + size])
        out = reblocked.process(block)
        assert type(out) is type(block)
        assert len(out) == len(block)
        if isinstance(block, np.ndarray):
            assert (out.dtype, out.shape) == (block.dtype, block.shape)
        if isinstance(block, memoryview):
            assert out.format == block.format
        returned.append(decode(form, out, channels))
        taken += size
    other = Reblocked([PROCESSORS[processor]() for _ in range(channels)], sample_rate=rate)
    expected = other.process(source[0] if channels == 1 else source).reshape(channels, -1)
    np.testing.assert_allclose(np.concatenate(returned, axis=1), expected, rtol=0, atol=2.5 / 32_768)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_output_does_not_depend_on_the_blocks(processor, rate):
    samples = noise(4801 * 2)
    expected = Reblocked(PROCESSORS[processor](), sample_rate=rate).process(samples)
    for sizes in [(1, 2, 3, 5, 8, 13, 21), (rate // 100,), (128,), (480,), (1023, 0, 1), (4801,)]:
        reblocked = Reblocked(PROCESSORS[processor](), sample_rate=rate)
        np.testing.assert_array_equal(in_blocks(reblocked, samples, sizes), expected, str(sizes))


def test_single_samples_are_blocks():
    samples = noise(3000)
    reblocked = Reblocked(Delay(), sample_rate=44_100)
    expected = Reblocked(Delay(), sample_rate=44_100).process(samples)
    np.testing.assert_array_equal(in_blocks(reblocked, samples, (1,)), expected)


@pytest.mark.parametrize("rate", [*RATES, 88_200, 96_000, 192_000])
@pytest.mark.parametrize("block_ms", [None, 10, 20, 50])
@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_delay_is_the_declared_one(processor, block_ms, rate):
    """Compared with the input shifted by a whole number of samples: half a sample more would be an error of 1."""
    block = None if block_ms is None else rate * block_ms // 1000
    inner = PROCESSORS[processor]()
    reblocked = Reblocked(inner, sample_rate=rate, block_samples=block)
    samples = tones(rate // 2, rate, band=inner.sample_rate)  # a whole number of any of the blocks
    out = in_blocks(reblocked, samples, (block or len(samples),))
    delay = reblocked.delay_samples
    settled = slice(delay + rate // 100, None)
    expected = np.concatenate([np.zeros(delay, np.float32), samples])[: len(samples)]
    np.testing.assert_allclose(out[settled], expected[settled], rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("rate", "block_samples", "delay_samples"),
    [
        pytest.param(48_000, None, 1440 + 479, id="48 kHz, any block"),
        pytest.param(48_000, 480, 1440, id="48 kHz, the frame itself"),
        pytest.param(48_000, 960, 1440, id="48 kHz, two frames"),
        pytest.param(48_000, 240, 1440 + 240, id="48 kHz, half a frame"),
        pytest.param(48_000, 128, 1440 + 448, id="48 kHz, an AudioWorklet's quantum"),
        pytest.param(16_000, None, 480 + 48 + 159, id="16 kHz, any block"),
        pytest.param(16_000, 320, 480 + 48, id="16 kHz, 20 ms"),
        pytest.param(24_000, 1200, 720 + 48, id="24 kHz, 50 ms"),
        pytest.param(8_000, 160, 240 + 48, id="8 kHz, 20 ms"),
        pytest.param(44_100, 441, 1323 + 48, id="44.1 kHz, 10 ms"),
        pytest.param(44_100, None, 1323 + 48 + 440, id="44.1 kHz, any block"),
        pytest.param(96_000, 960, 2880 + 96, id="96 kHz, 10 ms"),
    ],
)
def test_delays_of_30_ms_at_48_khz(rate, block_samples, delay_samples):
    assert Reblocked(Delay(), sample_rate=rate, block_samples=block_samples).delay_samples == delay_samples


@given(rate=st.sampled_from(RATES), frame=st.integers(1, 300), block=st.integers(1, 2000))
def test_re_blocking_adds_the_least_delay_that_works(rate, frame, block):
    """A simulation of counts alone, over enough blocks for every phase, that starts without anything held back."""
    inner = 16_000
    reblocked = Reblocked(Delay(inner, frame, 0), sample_rate=rate, block_samples=block)
    resampling = 0 if rate == inner else 48 * rate / min(rate, inner)
    re_blocking = reblocked.delay_samples - math.ceil(resampling)
    shortest = 0
    for taken in range(0, frame * 441 * block, block)[: 441 * frame]:
        frames = -(-taken * inner // rate) // frame
        shortest = max(shortest, taken - -(-frames * frame * rate // inner))
    assert re_blocking == shortest


def test_a_promise_about_blocks_is_kept_or_refused():
    reblocked = Reblocked(Delay(), block_samples=160)
    assert len(reblocked.process(noise(320))) == 320
    assert len(reblocked.process(noise(0))) == 0
    with pytest.raises(ValueError, match="a multiple of 160 samples, got 161"):
        reblocked.process(noise(161))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("form", FORMS[1:])
def test_integers_are_within_one_step_of_floats(form, rate):
    integers = encode("int16", noise(1, 5000))[np.newaxis] / np.float32(32_768)
    out = Reblocked(Delay(), sample_rate=rate).process(encode(form, integers))
    expected = Reblocked(Delay(), sample_rate=rate).process(integers[0])
    np.testing.assert_allclose(decode(form, out, 1)[0], expected, rtol=0, atol=0.5001 / 32_768)


@pytest.mark.parametrize("form", FORMS[1:])
def test_integers_pass_unchanged_without_resampling(form):
    values = np.arange(-32_768, 32_768, 7) / np.float32(32_768)
    block = encode(form, np.append(values, 32_767 / np.float32(32_768))[np.newaxis])
    out = Reblocked(Delay(48_000, 1, 0)).process(block)
    np.testing.assert_array_equal(np.asarray(out), np.asarray(block))


@pytest.mark.parametrize("form", FORMS[1:])
def test_integers_saturate(form):
    class Loud(Delay):
        def process(self, frame):
            return np.array([1, 2, 3e38, np.inf, -1, -2, -3e38, -np.inf, np.nan, 0.49 / 32_768], np.float32)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = Reblocked(Loud(48_000, 10, 0), block_samples=10).process(encode(form, np.zeros((1, 10), np.float32)))
    integers = out if form == "int16" else np.frombuffer(out, "<i2")
    assert integers.tolist() == [32_767] * 4 + [-32_768] * 4 + [0, 0]


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("form", FORMS)
def test_channels_are_processed_alone(form, rate):
    planes = noise(2, 4000)
    reblocked = Reblocked([Delay(gain=1), Delay(gain=0.25)], sample_rate=rate)
    assert reblocked.channels == 2
    out = decode(form, reblocked.process(encode(form, planes)), 2)
    for channel, gain in enumerate([1, 0.25]):
        expected = Reblocked(Delay(gain=gain), sample_rate=rate).process(planes[channel])
        np.testing.assert_allclose(out[channel], expected, rtol=0, atol=2 / 32_768)


def test_one_channel_may_have_a_dimension_of_its_own():
    planes = noise(1, 700)
    out = Reblocked(Delay()).process(planes)
    assert out.shape == (1, 700)
    np.testing.assert_array_equal(out[0], Reblocked([Delay()]).process(planes[0]))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("block_samples", [None, 160])
def test_flush_gives_the_rest_and_starts_anew(rate, block_samples):
    samples = noise(1600)
    reblocked = Reblocked(Delay(), sample_rate=rate, block_samples=block_samples)
    first = np.concatenate([reblocked.process(samples), reblocked.flush()])
    assert len(first) == len(samples) + reblocked.delay_samples
    longer = np.concatenate([samples, np.zeros(-(-reblocked.delay_samples // 160) * 160, np.float32)])
    fresh = Reblocked(Delay(), sample_rate=rate, block_samples=block_samples)
    np.testing.assert_array_equal(first, fresh.process(longer)[: len(first)])
    np.testing.assert_array_equal(reblocked.process(samples), first[: len(samples)])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_flush_returns_the_kind_of_the_last_block(form, channels):
    reblocked = Reblocked([Delay() for _ in range(channels)])
    assert reblocked.flush().dtype == np.float32
    block = encode(form, noise(channels, 100))
    reblocked.process(block)
    tail = reblocked.flush()
    assert type(tail) is type(block)
    assert decode(form, tail, channels).shape == (channels, reblocked.delay_samples)


@pytest.mark.parametrize("rate", RATES)
def test_reset_is_a_fresh_start(rate):
    samples = noise(3000)
    reblocked = Reblocked(Delay(), sample_rate=rate)
    expected = reblocked.process(samples)
    reblocked.process(noise(501, seed=1))
    reblocked.reset()
    np.testing.assert_array_equal(reblocked.process(samples), expected)


@pytest.mark.parametrize("rate", RATES)
def test_a_copy_goes_on_alone(rate):
    reblocked = Reblocked([Delay(), Delay()], sample_rate=rate)
    reblocked.process(noise(2, 1001))
    copied = copy.deepcopy(reblocked)
    expected = reblocked.process(noise(2, 2000, seed=1))
    reblocked.process(noise(2, 99))
    np.testing.assert_array_equal(copied.process(noise(2, 2000, seed=1)), expected)


@pytest.mark.parametrize(
    ("block", "error", "says"),
    [
        pytest.param(np.zeros((2, 5)), TypeError, "float32 or int16, got an array of float64", id="float64"),
        pytest.param(np.zeros((2, 5), np.int32), TypeError, "got an array of int32", id="int32"),
        pytest.param(np.zeros((2, 5), ">f4"), TypeError, "got an array of >f4", id="foreign byte order"),
        pytest.param([0.0, 0.0], TypeError, "bytearray or memoryview, got list", id="a list"),
        pytest.param(None, TypeError, "got NoneType", id="nothing"),
        pytest.param(memoryview(np.zeros(4, np.float32)), TypeError, 'got format "f"', id="memoryview of floats"),
        pytest.param(memoryview(np.zeros((2, 4), np.int16)), ValueError, "one dimension", id="memoryview of rows"),
        pytest.param(b"12345", ValueError, "4 bytes, 2 for each channel, got 5", id="half a sample"),
        pytest.param(b"123456", ValueError, "4 bytes, 2 for each channel, got 6", id="one channel too few"),
        pytest.param(noise(10), ValueError, r"shape \(2, samples\), got \(10,\)", id="mono"),
        pytest.param(noise(10, 2), ValueError, r"shape \(2, samples\), got \(10, 2\)", id="samples first"),
        pytest.param(np.float32(1) * np.ones(()), TypeError, "float64", id="a number"),
        pytest.param(np.ones((), np.float32), ValueError, r"got \(\)", id="no dimension"),
    ],
)
def test_what_is_no_block_is_refused_and_nothing_consumed(block, error, says):
    reblocked = Reblocked([Delay(), Delay()], sample_rate=44_100)
    reblocked.process(noise(2, 1234))
    with pytest.raises(error, match=says):
        reblocked.process(block)
    fresh = Reblocked([Delay(), Delay()], sample_rate=44_100)
    fresh.process(noise(2, 1234))
    np.testing.assert_array_equal(reblocked.process(noise(2, 999)), fresh.process(noise(2, 999)))


def test_an_odd_number_of_bytes_is_half_a_sample():
    with pytest.raises(ValueError, match="whole samples of 2 bytes, got 3 bytes"):
        Reblocked(Delay()).process(b"abc")


def test_strides_and_read_only_memory_are_fine():
    integers = encode("int16", noise(1, 2000))
    integers.flags.writeable = False
    expected = Reblocked(Delay(), sample_rate=16_000).process(integers[::2].copy())
    np.testing.assert_array_equal(Reblocked(Delay(), sample_rate=16_000).process(integers[::2]), expected)
    out = Reblocked(Delay(), sample_rate=16_000).process(memoryview(integers)[::2])
    np.testing.assert_array_equal(np.asarray(out), expected)


def test_blocks_and_outputs_are_nobody_elses():
    reblocked = Reblocked(Delay(48_000, 480, 0))
    block = noise(1000)
    kept = block.copy()
    out = reblocked.process(block)
    np.testing.assert_array_equal(block, kept)
    block[:], out[:] = 9, 9
    np.testing.assert_array_equal(reblocked.process(kept)[:479], kept[-479:])


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf, 3e38])
def test_resamplers_recover_from_what_is_no_sample(fault, rate):
    silent, hostile = noise(4000), noise(4000)
    silent[100:140], hostile[100:140] = 0, fault
    expected = Reblocked(Delay(), sample_rate=rate).process(silent)
    np.testing.assert_array_equal(Reblocked(Delay(), sample_rate=rate).process(hostile), expected)


@pytest.mark.parametrize(
    ("processors", "options", "says"),
    [
        pytest.param([], {}, "at least one", id="none"),
        pytest.param([Delay(), Delay(delay_samples=0)], {}, "agree", id="unlike"),
        pytest.param([Delay()] * 2, {}, "the same more than once", id="one for two channels"),
        pytest.param(Delay(), {"sample_rate": 0}, "sample_rate must be positive, got 0", id="no rate"),
        pytest.param(Delay(), {"sample_rate": 48_001}, "ratio .* got from_rate 48000, to_rate 48001", id="a ratio"),
        pytest.param(Delay(), {"block_samples": 0}, "block_samples must be positive, got 0", id="no block"),
    ],
)
def test_bad_arguments_are_named(processors, options, says):
    with pytest.raises(ValueError, match=says):
        Reblocked(processors, **options)


def test_the_rate_is_the_processors_unless_given():
    assert Reblocked(Delay(16_000, 160, 0)).sample_rate == 16_000
    assert Reblocked(Delay(16_000, 160, 0), sample_rate=8_000).sample_rate == 8_000
    with pytest.raises(TypeError):
        Reblocked(Delay(), sample_rate=44_100.0)
