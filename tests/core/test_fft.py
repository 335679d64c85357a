import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce._core import RealFft


def only_small_primes(size):
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    return size == 1


SIZES = [size for size in range(2, 4097, 2) if only_small_primes(size)]


def noise(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, count).astype(np.float32)


def complex_noise(bins, seed=0):
    random = np.random.default_rng(seed)
    spectrum = (random.standard_normal(bins) + 1j * random.standard_normal(bins)).astype(np.complex64)
    spectrum[[0, -1]] = spectrum[[0, -1]].real
    return spectrum


def relative_error(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def test_there_are_110_sizes():
    assert len(SIZES) == 110


@pytest.mark.parametrize("size", SIZES)
def test_forward_is_the_transform_in_double_precision(size):
    samples = noise(size)
    spectrum = RealFft(size).forward(samples)
    assert spectrum.dtype == np.complex64
    assert spectrum.shape == (size // 2 + 1,)
    assert relative_error(spectrum, np.fft.rfft(samples.astype(np.float64))) < 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_inverse_is_the_transform_in_double_precision(size):
    spectrum = complex_noise(size // 2 + 1)
    samples = RealFft(size).inverse(spectrum)
    assert samples.dtype == np.float32
    assert samples.shape == (size,)
    assert relative_error(samples, np.fft.irfft(spectrum.astype(np.complex128), size)) < 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_a_pure_tone_stays_in_its_bin(size):
    """Noise would hide an error in one bin of many; a tone does not."""
    fft = RealFft(size)
    for k in {0, 1, size // 4, size // 3, size // 2}:
        tone = np.cos(2 * np.pi * k * np.arange(size) / size).astype(np.float32)
        spectrum = np.abs(fft.forward(tone)) / size
        assert spectrum[k] == pytest.approx(1.0 if k in (0, size // 2) else 0.5, abs=1e-6)
        assert np.delete(spectrum, k).max(initial=0) < 1e-6


@given(size=st.sampled_from(SIZES), seed=st.integers(0, 2**32 - 1), exponent=st.integers(-30, 30))
def test_there_and_back_gives_the_samples_at_any_level(size, seed, exponent):
    samples = np.ldexp(noise(size, seed), exponent)
    fft = RealFft(size)
    assert relative_error(fft.inverse(fft.forward(samples)), samples) < 1e-6


@pytest.mark.parametrize("size", [2, 30, 320, 4096])
def test_imaginary_parts_of_the_outer_bins_are_zero_and_ignored(size):
    fft = RealFft(size)
    spectrum = fft.forward(noise(size))
    assert (spectrum[[0, -1]].imag == 0).all()
    crooked = spectrum.copy()
    crooked[[0, -1]] += 5j
    assert (fft.inverse(crooked) == fft.inverse(spectrum)).all()


@pytest.mark.parametrize("size", [2, 6, 30, 450, 512, 960])
def test_zeros_give_zeros(size):
    fft = RealFft(size)
    assert not fft.forward(np.zeros(size, np.float32)).any()
    assert not fft.inverse(np.zeros(size // 2 + 1, np.complex64)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_does_not_outlive_its_call(bad):
    fft = RealFft(320)
    broken = noise(320)
    broken[17] = bad
    assert not np.isfinite(fft.forward(broken)).all()
    assert np.isfinite(fft.forward(noise(320))).all()


def test_views_with_strides_and_read_only_arrays_are_taken():
    fft = RealFft(320)
    wide = noise(960)
    assert (fft.forward(wide[::3]) == fft.forward(wide[::3].copy())).all()
    assert (fft.forward(wide[319::-1]) == fft.forward(wide[319::-1].copy())).all()
    wide.flags.writeable = False
    assert fft.forward(wide[:320]).shape == (161,)
    spectrum = complex_noise(322)
    assert (fft.inverse(spectrum[::2]) == fft.inverse(spectrum[::2].copy())).all()


def test_results_own_their_memory():
    fft = RealFft(320)
    first = fft.forward(noise(320, 1))
    kept = first.copy()
    del fft
    for seed in range(20):
        RealFft(320).forward(noise(320, seed))
    assert (first == kept).all()
    first[:] = 0  # and may be written to


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(-2, id="negative"),
        pytest.param(0, id="nothing"),
        pytest.param(1, id="one"),
        pytest.param(225, id="odd"),
        pytest.param(14, id="prime factor 7"),
        pytest.param(22, id="prime factor 11"),
        pytest.param(4098, id="above the limit"),
        pytest.param(4320, id="good primes but above the limit"),
        pytest.param(2**32 + 512, id="512 in its lower 32 bits"),
    ],
)
def test_bad_sizes_are_named(size):
    with pytest.raises(ValueError, match=rf"size must be even.*, got {size}$"):
        RealFft(size)


def test_every_other_size_is_refused():
    for size in sorted(set(range(5000)) - set(SIZES)):
        with pytest.raises(ValueError, match="size must be"):
            RealFft(size)


@pytest.mark.parametrize("size", [512.0, "512", None, 2**70])
def test_a_size_is_an_integer_of_the_machine(size):
    with pytest.raises(TypeError):
        RealFft(size)


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        pytest.param(np.zeros(319, np.float32), ValueError, r"samples .*\(320,\), got .*\(319,\)", id="too short"),
        pytest.param(np.zeros(0, np.float32), ValueError, r"samples .*\(320,\), got .*\(0,\)", id="empty"),
        pytest.param(np.zeros((1, 320), np.float32), ValueError, r"one dimension, got .*\(1, 320\)", id="2-D"),
        pytest.param(np.float32(1), ValueError, r"one dimension, got .*\(\)", id="a number"),
        pytest.param(np.zeros(320), TypeError, "samples must be float32, got float64", id="double"),
        pytest.param(np.zeros(320, np.int16), TypeError, "samples must be float32, got int16", id="int16"),
        pytest.param([0.0] * 320, TypeError, "list", id="a list"),
        pytest.param(None, TypeError, "None", id="None"),
    ],
)
def test_bad_samples_are_named(samples, error, message):
    with pytest.raises(error, match=message):
        RealFft(320).forward(samples)


@pytest.mark.parametrize(
    ("spectrum", "error", "message"),
    [
        pytest.param(np.zeros(160, np.complex64), ValueError, r"spectrum .*\(161,\), got .*\(160,\)", id="too short"),
        pytest.param(np.zeros((161, 1), np.complex64), ValueError, r"one dimension, got .*\(161, 1\)", id="2-D"),
        pytest.param(
            np.zeros(161, np.complex128), TypeError, "spectrum must be complex64, got complex128", id="double"
        ),
        pytest.param(np.zeros(161, np.float32), TypeError, "spectrum must be complex64, got float32", id="real"),
    ],
)
def test_bad_spectra_are_named(spectrum, error, message):
    with pytest.raises(error, match=message):
        RealFft(320).inverse(spectrum)
