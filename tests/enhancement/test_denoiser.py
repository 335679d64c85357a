import copy
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soxr

import vivavoce.models
from checkpoints import METADATA, random_checkpoint
from vivavoce import Denoiser, ModelError, Processor, Reblocked, denoise
from vivavoce._core import Model, PercepNetNetwork
from vivavoce.enhancement import denoiser as module
from vivavoce.enhancement.features import ERB_BANDS, analyse_noisy
from vivavoce.enhancement.image import model_image
from vivavoce.enhancement.postfilter import envelope_postfilter, limit_decay, mix
from vivavoce.signal.stft import synthesise

LOOKAHEADS = [pytest.param(0, id="no look-ahead"), pytest.param(1, id="1 frame"), pytest.param(2, id="2 frames")]


def write_model(path, lookahead=2, *, transparent=False, **metadata):
    """A model of random weights, or one that wants every gain 1 and every strength 0."""
    arrays = random_checkpoint()
    if transparent:
        for name, bias in (("gains", 30), ("strengths", -30)):
            arrays[f"{name}.weight"][:] = 0
            arrays[f"{name}.bias"][:] = bias
    path.write_bytes(model_image(arrays, {**METADATA, "lookahead_frames": str(lookahead), **metadata}))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths of models by look-ahead and by whether they are transparent."""
    folder = tmp_path_factory.mktemp("models")
    return {
        (lookahead, clear): write_model(folder / f"{lookahead}-{clear}.vvm", lookahead, transparent=clear)
        for lookahead in range(3)
        for clear in (False, True)
    }


@pytest.fixture(scope="module")
def model(models):
    return models[2, False]


@pytest.fixture(scope="module")
def noisy(speech_16k):
    """Three seconds of speech in noise at 48 kHz, not a whole number of frames."""
    speech = soxr.resample(speech_16k[:48_000], 16_000, 48_000)[:143_777]
    return speech + np.random.default_rng(0).normal(0, 0.02, len(speech)).astype(np.float32)


def stream(denoiser, samples):
    """Frame by frame, as a call does it; and the tail."""
    frames = np.pad(samples, (0, -len(samples) % 480)).reshape(-1, 480)
    output = [denoiser.process(frame) for frame in frames]
    return np.concatenate([*output, denoiser.flush()])


def delayed(samples, delay):
    return np.concatenate([np.zeros(delay, np.float32), samples[: len(samples) - delay]])


def test_it_is_a_processor(model):
    denoiser = Denoiser(model)
    assert isinstance(denoiser, Processor)
    assert (denoiser.sample_rate, denoiser.frame_samples, denoiser.delay_samples) == (48_000, 480, 1440)
    assert denoiser.model_name == "percepnet-test-v1"


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_the_output_is_that_of_the_reference(models, noisy, lookahead):
    """Analysis, gains and synthesis in NumPy, around the core's network, which has tests of its own."""
    frames = len(noisy) // 480 + 2
    analysis = analyse_noisy(noisy, frames + lookahead, lookahead)
    network = PercepNetNetwork(Model(models[lookahead, False]))
    gains, strengths, _ = (answer[lookahead:] for answer in network.run(analysis.features.astype(np.float32)))
    y, energies = analysis.spectra[:frames], analysis.energies[:frames]
    mixed, scales = mix(y, analysis.comb[:frames], strengths, ERB_BANDS)
    filtered = envelope_postfilter(limit_decay(gains), energies)
    want = synthesise(mixed * ERB_BANDS.interpolate(filtered * scales))[: len(noisy)]
    got = denoise(noisy, model=models[lookahead, False])
    error = np.abs(got - want)
    assert np.quantile(error, 0.999) < 1e-4
    assert error.max() < 1e-3


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_streaming_is_offline(models, noisy, lookahead):
    denoiser = Denoiser(models[lookahead, False])
    streamed = stream(denoiser, noisy)[denoiser.delay_samples :][: len(noisy)]
    assert (streamed == denoise(noisy, model=models[lookahead, False])).all()


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_the_delay_is_the_declared_one(models, noisy, lookahead):
    """To the bit with a limit of 0 dB or disabled; nearly where all passes through the network and both transforms."""
    delay = 480 * (1 + lookahead)
    samples = noisy[: 480 * 250]
    for settings in ({"attenuation_limit_db": 0.0}, {"enabled": False}):
        denoiser = Denoiser(models[lookahead, False])
        for name, value in settings.items():
            setattr(denoiser, name, value)
        assert denoiser.delay_samples == delay
        assert (stream(denoiser, samples)[: len(samples)] == delayed(samples, delay)).all()
    transparent = stream(Denoiser(models[lookahead, True]), samples)[: len(samples)]
    np.testing.assert_allclose(transparent, delayed(samples, delay), atol=1e-4)


@pytest.mark.parametrize("block", [1, 37, 160, 441, 480, 960, 4801])
def test_any_block_size_gives_what_frames_give(model, noisy, block):
    samples = noisy[: 480 * (20 if block == 1 else 100)]
    reblocked = Reblocked(Denoiser(model))
    blocks = [reblocked.process(samples[at : at + block]) for at in range(0, len(samples), block)]
    assert [len(each) for each in blocks[:-1]] == [block] * (len(blocks) - 1)
    output = np.concatenate([*blocks, reblocked.flush()])[reblocked.delay_samples :]
    assert (output[: len(samples)] == denoise(samples, model=model)).all()


def test_attenuation_is_limited(model, noisy):
    wet = denoise(noisy, model=model)
    np.testing.assert_allclose(denoise(noisy, model=model, attenuation_limit_db=20), 0.1 * noisy + 0.9 * wet, atol=1e-6)
    denoiser = Denoiser(model, attenuation_limit_db=12)
    assert denoiser.attenuation_limit_db == 12
    denoiser.attenuation_limit_db = None
    assert denoiser.attenuation_limit_db is None
    assert (stream(denoiser, noisy)[1440:][: len(noisy)] == wet).all()


def test_toggling_makes_no_click_and_no_other_delay(models):
    """A tone through a transparent model: whatever is switched when, nothing of it may be heard."""
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(480 * 100) / 48_000)).astype(np.float32)
    denoiser = Denoiser(models[2, True])
    output = []
    for index, frame in enumerate(tone.reshape(-1, 480)):
        denoiser.enabled = index % 7 < 3
        denoiser.attenuation_limit_db = (None, 6, 0)[index % 3]
        output.append(denoiser.process(frame))
    np.testing.assert_allclose(np.concatenate(output), delayed(tone, 1440), atol=1e-4)


def test_toggling_fades_from_one_to_the_other(model, noisy):
    """The largest step between samples is that of wet and dry themselves, however different they are."""
    samples = noisy[: 480 * 200]
    wet, dry = stream(Denoiser(model), samples)[: len(samples)], delayed(samples, 1440)
    denoiser = Denoiser(model)
    output = []
    for index, frame in enumerate(samples.reshape(-1, 480)):
        denoiser.enabled = index // 10 % 2 == 0
        output.append(denoiser.process(frame))
    output = np.concatenate(output).reshape(-1, 480)
    assert (output[11:20] == dry.reshape(-1, 480)[11:20]).all()
    assert (output[21:30] == wet.reshape(-1, 480)[21:30]).all()
    largest = max(np.abs(np.diff(wet)).max(), np.abs(np.diff(dry)).max())
    assert np.abs(np.diff(output.ravel())).max() <= largest + np.abs(wet - dry).max() / 480 + 1e-6


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(np.float32(np.nan), id="NaN"),
        pytest.param(np.float32(np.inf), id="infinity"),
        pytest.param(np.float32(-3e38), id="far beyond full scale"),
        pytest.param(np.float32(1), id="DC"),
        pytest.param(np.float32(1e-42), id="subnormal"),
    ],
)
def test_faults_stay_finite_and_are_over_within_100_ms(models, noisy, fault):
    samples, begin, end = noisy.copy(), 48_000, 62_400
    samples[begin:end] = fault
    denoiser = Denoiser(models[2, True])
    output = stream(denoiser, samples)[1440:][: len(samples)]
    assert np.isfinite(output).all()
    assert np.abs(output).max() < 20
    np.testing.assert_allclose(output[end + 4800 :], noisy[end + 4800 :], atol=1e-4)
    np.testing.assert_allclose(output[: begin - 480], noisy[: begin - 480], atol=1e-4)


def test_silence_gives_silence(model, noisy):
    assert not denoise(np.zeros(48_000, np.float32), model=model).any()
    denoiser = Denoiser(model)
    stream_before_flush = [denoiser.process(frame) for frame in noisy[: 480 * 100].reshape(-1, 480)]
    assert stream_before_flush[-1].any()
    rest = np.stack([denoiser.process(np.zeros(480, np.float32)) for _ in range(100)])
    assert not rest[15:].any()


def test_clipping_is_no_fault(model, noisy):
    output = denoise(np.clip(50 * noisy, -1, 1), model=model)
    assert np.isfinite(output).all()
    assert np.abs(output).max() < 4


@pytest.mark.parametrize("method", [Denoiser.copy, copy.copy, copy.deepcopy])
def test_a_copy_goes_on_alike_and_apart(model, noisy, method):
    first, rest = noisy[: 480 * 50].reshape(-1, 480), noisy[480 * 50 : 480 * 80].reshape(-1, 480)
    denoiser = Denoiser(model, attenuation_limit_db=18)
    for frame in first:
        denoiser.process(frame)
    twin = method(denoiser)
    assert twin.voice_probability == denoiser.voice_probability
    assert twin.attenuation_limit_db == 18
    expected = [denoiser.process(frame) for frame in rest]
    assert (np.stack([twin.process(frame) for frame in rest]) == np.stack(expected)).all()
    twin.enabled = False
    assert denoiser.enabled


def test_reset_and_flush_begin_anew(model, noisy):
    denoiser = Denoiser(model)
    once = stream(denoiser, noisy)
    assert (stream(denoiser, noisy) == once).all()
    denoiser.process(noisy[:480])
    denoiser.reset()
    assert math.isnan(denoiser.voice_probability)
    assert (stream(denoiser, noisy) == once).all()


def test_reports_tell_what_was_done(model, noisy):
    denoiser = Denoiser(model)
    assert math.isnan(denoiser.voice_probability)
    assert denoiser.last_frame().pitch_period == 0
    reports = []
    for frame in noisy[: 480 * 60].reshape(-1, 480):
        denoiser.process(frame)
        reports.append(denoiser.last_frame())
    assert denoiser.voice_probability == reports[-1].voice_probability
    analysis = analyse_noisy(noisy, 60)
    assert [report.pitch_period for report in reports[2:]] == analysis.periods[:58].tolist()
    correlations = [report.pitch_correlation for report in reports[2:]]
    np.testing.assert_allclose(correlations, analysis.features[2:, -1], atol=1e-4)
    assert [report.voice_probability for report in reports[:2]] == [0, 0]
    for report in reports:
        assert report.gains.shape == report.strengths.shape == (34,)
        assert report.gains.min() >= 0
        assert report.gains.max() <= 1


def test_threads_get_what_one_thread_gets(model, noisy):
    alone = denoise(noisy, model=model)
    with ThreadPoolExecutor(2) as pool:
        for output in pool.map(lambda _: denoise(noisy, model=model), range(4)):
            assert (output == alone).all()


def test_settings_may_come_from_another_thread(model, noisy):
    denoiser = Denoiser(model)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(stream, denoiser, noisy)
        while not call.done():
            denoiser.enabled = not denoiser.enabled
            denoiser.attenuation_limit_db = 6 if denoiser.enabled else None
        assert np.isfinite(call.result()).all()


def test_streams_share_a_model_as_long_as_there_are_any(model):
    first, second = Denoiser(model), Denoiser(str(model))
    assert first._shared is second._shared
    assert len(vivavoce.models._shared) == 1
    del first, second
    assert len(vivavoce.models._shared) == 0


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_recordings_of_any_rate_stay_aligned(models, sample_rate):
    """A tone through a transparent model comes back as it was, and as long."""
    tone = (0.3 * np.sin(2 * np.pi * 300 * np.arange(sample_rate + 7) / sample_rate)).astype(np.float32)
    output = denoise(tone, sample_rate, models[2, True])
    assert output.shape == tone.shape
    assert output.dtype == np.float32
    middle = slice(sample_rate // 10, -sample_rate // 10)
    np.testing.assert_allclose(output[middle], tone[middle], atol=2e-3)


def test_channels_are_streams_of_their_own(model, noisy):
    stereo = np.stack([noisy, noisy[::-1]])
    output = denoise(stereo, model=model)
    assert (output[0] == denoise(noisy, model=model)).all()
    assert (output[1] == denoise(noisy[::-1], model=model)).all()


def test_recordings_of_no_or_few_samples(model):
    assert denoise(np.zeros(0, np.float32), model=model).shape == (0,)
    assert denoise(np.zeros((2, 0)), 16_000, model).shape == (2, 0)
    assert denoise(np.ones(1), 192_000, model).shape == (1,)
    assert np.isfinite(denoise(np.full(100, np.nan), 16_000, model)).all()


def test_models_have_names(models, tmp_path, monkeypatch):
    monkeypatch.setattr(vivavoce.models, "MODELS", tmp_path)
    write_model(tmp_path / f"{module.DEFAULT_MODEL}.vvm", name="default")
    write_model(tmp_path / f"{module.DEFAULT_MODEL_LOW_DELAY}.vvm", 0, name="fast")
    assert Denoiser().model_name == Denoiser(module.DEFAULT_MODEL).model_name == "default"
    assert Denoiser(lookahead=False).model_name == "fast"
    assert Denoiser(lookahead=False).delay_samples == 480
    with pytest.raises(ModelError, match=f"no model of this name; there are: .*{module.DEFAULT_MODEL}"):
        Denoiser("unheard-of")
    with pytest.raises(ValueError, match="lookahead must be True for percepnet-small-v1, which looks ahead"):
        Denoiser(module.DEFAULT_MODEL, lookahead=False)
    assert Denoiser(models[0, False], lookahead=False).delay_samples == 480


def test_bad_models_are_refused_by_name(tmp_path):
    path = tmp_path / "model.vvm"
    with pytest.raises(ModelError, match=r"model\.vvm: No such file") as caught:
        Denoiser(path)
    assert caught.value.path == str(path)
    path.write_bytes(bytes(4096))
    with pytest.raises(ModelError, match="no model image of this version, or damaged"):
        Denoiser(path)
    with pytest.raises(ModelError, match="must be of 48000 Hz and 0 to 2 frames of look-ahead, got 16000 and 2"):
        Denoiser(write_model(tmp_path / "16k.vvm", sample_rate="16000"))
    with pytest.raises(ModelError, match="got 48000 and 3"):
        Denoiser(write_model(tmp_path / "far.vvm", 3))


def test_bad_arguments_are_named(model):
    denoiser = Denoiser(model)
    with pytest.raises(ValueError, match=r"frame must have shape \(480,\), got \(481,\)"):
        denoiser.process(np.zeros(481, np.float32))
    with pytest.raises(TypeError, match="must be float32, got float64"):
        denoiser.process(np.zeros(480))
    for limit in (-1, math.nan):
        with pytest.raises(ValueError, match="attenuation_limit_db must be 0 or more"):
            Denoiser(model, attenuation_limit_db=limit)
    with pytest.raises(TypeError, match="samples must be float, got int16"):
        denoise(np.zeros(480, np.int16), model=model)
    with pytest.raises(ValueError, match=r"\(1, 1, 480\)"):
        denoise(np.zeros((1, 1, 480)), model=model)
    with pytest.raises(ValueError, match="sample_rate must be positive, got 0"):
        denoise(np.zeros(480), 0, model)
