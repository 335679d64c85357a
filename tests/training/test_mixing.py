import pickle
from dataclasses import replace

import numpy as np
import pytest

from vivavoce.training.mixing import PEAK, MixConfig, Mixer
from vivavoce.training.rooms import Room, early_response
from vivavoce.training.sources import BABBLE_TALKERS, NoiseSources, Talkers
from vivavoce.training.store import open_store

ITEMS = range(24)
WITHOUT = {"room": 0, "low_pass": 0, "clipped": 0, "muted": 0, "other_rate": 0, "coloured": 0, "floor": 0}
PLAIN = MixConfig(seconds=1.5, clean=0, noise_only=0, noise_first=0, **WITHOUT)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A direct path, a reflection at 10 ms, and a tail of 0.6 s."""
    time = np.arange(24_000) / 48_000
    response = 0.1 * np.random.default_rng(0).standard_normal(len(time)) * 10 ** (-3 * time / 0.6)
    response[[0, 480]] = 1, 0.5
    parts = [response.astype(np.float32), early_response(response.astype(np.float32)), response[::2].astype(np.float32)]
    store, _ = open_store(tmp_path_factory.mktemp("room"), "room", "<f4", lambda: [({}, np.concatenate(parts))])
    return Room("hall", 0.6, store, tuple(int(at) for at in np.cumsum([0, *map(len, parts)])))


@pytest.fixture
def mixer(speech, noise, room):
    def make(seed=0, rooms=(room,), **changes):
        return Mixer(speech, noise, rooms, replace(PLAIN, **changes), seed)

    return make


def active_db(samples):
    """Independent of the code under test: mean power of the 20-ms frames within 30 dB of the loudest."""
    powers = [np.mean(samples[at : at + 960].astype(float) ** 2) for at in range(0, len(samples) - 959, 960)]
    return 10 * np.log10(np.mean([power for power in powers if power >= max(powers) / 1000]))


def energy(samples, from_hz, to_hz=24_000):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequencies = np.linspace(0, 24_000, len(spectrum))
    return spectrum[(frequencies > from_hz) & (frequencies <= to_hz)].sum()


def test_an_item_depends_on_seed_and_index_alone(mixer):
    config = {"room": 0.5, "low_pass": 0.5, "muted": 0.3, "clipped": 0.3}
    one, other = mixer(1, **config), pickle.loads(pickle.dumps(mixer(1, **config)))
    later = [one.mixture(index) for index in (7, 3, 5)]
    for index, mixture in zip((7, 3, 5), later, strict=True):
        again = other.mixture(index)
        assert (again.noisy == mixture.noisy).all()
        assert (again.clean == mixture.clean).all()
        assert (again.kind, again.snr_db, again.level_db) == (mixture.kind, mixture.snr_db, mixture.level_db)
    assert (one.mixture(6).noisy != one.mixture(7).noisy).any()
    assert (mixer(2, **config).mixture(7).noisy != one.mixture(7).noisy).any()


@pytest.mark.parametrize("index", ITEMS)
def test_every_item_is_sound_and_consistent(mixer, index):
    config = MixConfig(seconds=1.0, clean=0.2, noise_only=0.2, noise_first=0.2, clipped=0.2, muted=0.2, floor=0)
    every = mixer(5, **vars(config))
    mixture, parts = every.mixture(index), every.parts(index)
    for samples in (mixture.noisy, mixture.clean):
        assert samples.shape == (48_000,)
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= PEAK + 1e-6
    whole = np.ones(48_000, bool)
    whole[parts.muted] = False
    if np.isinf(parts.clip_at):
        assert (mixture.noisy == parts.speech + parts.noise)[whole].all()
    assert (mixture.clean == parts.clean)[whole].all()


@pytest.mark.parametrize("index", ITEMS)
def test_the_snr_is_the_one_that_was_drawn(mixer, index):
    parts = mixer(room=0.5, low_pass=0.5).parts(index)
    assert -5 <= parts.snr_db <= 45
    assert active_db(parts.speech) - active_db(parts.noise) == pytest.approx(parts.snr_db, abs=0.5)
    assert active_db(parts.clean) == pytest.approx(parts.level_db, abs=0.5)
    assert -50 < parts.level_db < -5


@pytest.mark.parametrize("index", range(4))
def test_the_target_is_the_speech_with_early_reflections(mixer, room, index):
    # the colour has no delay: it rings before the first sample, where the item is cut off
    parts = mixer(room=1.0, coloured_speech=0.0).parts(index)
    # both are the same dry speech through two filters: each through the other's filter, they are equal
    samples = len(parts.speech)
    one = np.convolve(parts.speech, room.early)[:samples]
    other = np.convolve(parts.clean, room.speech)[:samples]
    assert np.abs(one - other).max() < 2e-5 * np.abs(one).max()
    assert (parts.speech != parts.clean).any()


@pytest.mark.parametrize("index", range(4))
def test_without_a_room_the_target_is_the_speech(mixer, index):
    parts = mixer().parts(index)
    assert (parts.speech == parts.clean).all()


@pytest.mark.parametrize("index", ITEMS)
def test_the_target_has_nothing_above_its_bandwidth(mixer, index):
    mixture = mixer(low_pass=0.7, room=0.5).mixture(index)
    assert mixture.bandwidth_hz in (4_000, 8_000, 12_000, 16_000, 20_000, 24_000)
    assert energy(mixture.clean, mixture.bandwidth_hz + 50) <= 1e-5 * energy(mixture.clean, 0)


def test_a_low_pass_is_of_noise_and_speech(mixer):
    for index in range(8):
        mixture = mixer(low_pass=1.0, cutoffs_hz=(4_000,)).mixture(index)
        assert mixture.bandwidth_hz == 4_000
        assert energy(mixture.noisy, 4_050) < 1e-5 * energy(mixture.noisy, 0)


def test_noise_over_narrow_speech_is_full_band_in_half_of_the_items(noise, speech):
    narrow = [clip for clip in speech if clip.bandwidth_hz == 8_000]
    parts = [Mixer(narrow, noise, (), replace(PLAIN, babble=0, synthetic=0)).parts(index) for index in range(40)]
    above = [energy(part.noise, 8_050) > 1e-3 * energy(part.noise, 0) for part in parts]
    assert {part.bandwidth_hz for part in parts} == {8_000}
    assert 10 <= sum(above) <= 30


@pytest.mark.parametrize("index", range(4))
def test_clean_items_are_left_as_they_are(mixer, index):
    mixture = mixer(clean=1.0).mixture(index)
    assert (mixture.kind, mixture.snr_db) == ("clean", float("inf"))
    assert (mixture.noisy == mixture.clean).all()
    assert mixture.clean.any()


@pytest.mark.parametrize("index", range(4))
def test_noise_alone_has_a_silent_target(mixer, index):
    mixture = mixer(noise_only=1.0).mixture(index)
    assert (mixture.kind, mixture.snr_db) == ("noise only", float("-inf"))
    assert not mixture.clean.any()
    assert active_db(mixture.noisy) == pytest.approx(mixture.level_db, abs=0.5)


@pytest.mark.parametrize("index", range(4))
def test_noise_comes_first(mixer, index):
    mixture = mixer(seconds=4.0, noise_first=1.0, babble=0, synthetic=1.0).mixture(index)
    assert mixture.kind == "noise first"
    assert -5 <= mixture.snr_db <= 5
    begin = int(np.argmax(np.abs(mixture.clean) > 1e-3 * np.abs(mixture.clean).max()))
    assert 0.99 <= begin / 48_000 <= 3.5
    assert mixture.noisy[:48_000].any()


@pytest.mark.parametrize("index", range(4))
def test_a_muted_part_is_digital_silence_on_both_sides(mixer, index):
    mixer = mixer(muted=1.0)
    mixture, muted = mixer.mixture(index), mixer.parts(index).muted
    assert 0.2 * 48_000 <= muted.stop - muted.start <= len(mixture.noisy)
    assert not mixture.noisy[muted].any()
    assert not mixture.clean[muted].any()


@pytest.mark.parametrize("index", range(4))
def test_a_clipped_item_is_flat_at_its_peak(mixer, index):
    mixture = mixer(clipped=1.0).mixture(index)
    peak = np.abs(mixture.noisy).max()
    assert np.count_nonzero(np.abs(mixture.noisy) == peak) > 3


def test_speech_is_of_one_talker_and_never_of_a_noisy_recording(speech):
    random = np.random.default_rng(0)
    dirty = replace(speech[0], snr_db=10.0, speaker="dirty")
    talkers = Talkers([*speech, dirty], {"wide": 3.0, "narrow": 1.0}, 25.0)
    drawn = [talkers.draw(random) for _ in range(400)]
    assert all(len({(clip.corpus, clip.speaker) for clip in clips}) == 1 for clips in drawn)
    assert not any(clip is dirty for clips in drawn for clip in clips)
    assert 0.65 < np.mean([clips[0].corpus == "wide" for clips in drawn]) < 0.85
    with pytest.raises(ValueError, match=r"none of 1 clips of speech has an SNR of 25\.0 dB"):
        Talkers([dirty], {}, 25.0)


def test_babble_is_of_many_talkers_without_the_one_who_speaks(speech, monkeypatch):
    talking = []
    talk = Talkers.talk
    monkeypatch.setattr(
        Talkers,
        "talk",
        staticmethod(lambda random, clips, samples: talking.append(clips) or talk(random, clips, samples)),
    )
    sources = NoiseSources([], speech, babble=1.0, synthetic=0.0)
    for seed in range(20):
        talking.clear()
        babble = sources.draw(np.random.default_rng(seed), 48_000, without="n0")
        assert BABBLE_TALKERS[0] <= len(talking) <= BABBLE_TALKERS[1]
        speakers = [clips[0].speaker for clips in talking]
        assert len(set(speakers)) == len(speakers)
        assert "n0" not in speakers
        assert active_db(babble) == pytest.approx(0, abs=0.1)


def test_impossible_items_are_named(speech, noise):
    with pytest.raises(ValueError, match="seconds must be above 0"):
        Mixer(speech, noise, (), MixConfig(seconds=0))
    with pytest.raises(ValueError, match="index must not be negative, got -1"):
        Mixer(speech, noise).mixture(-1)


@pytest.mark.parametrize("index", ITEMS[:6])
def test_the_faint_floor_is_white_noise_of_its_level(mixer, index):
    with_floor = mixer(floor=1, floor_db=(-100.0, -100.0))
    parts = with_floor.parts(index)
    floor = (with_floor.mixture(index).noisy - parts.speech - parts.noise).astype(float)
    assert 10 * np.log10(np.mean(floor**2)) == pytest.approx(-100, abs=0.5)
