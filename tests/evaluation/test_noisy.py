import numpy as np
import pytest

from corpora import voice, write_corpus
from vivavoce.errors import AudioFileError
from vivavoce.evaluation.mixing import PEAK, SPEECH_LEVEL_DB, active_level_db, level_db
from vivavoce.evaluation.noisy import BABBLE, NOISY_SETS, SNRS_DB, build_noisy_set

RATE = 16_000


def named(name, items):
    """Recordings of a corpus get ids."""
    return [({"id": f"{name}-{number}", **fields}, samples) for number, (fields, samples) in enumerate(items)]


def tone(frequency, seconds=2.0):
    return (0.1 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Tiny corpora; noise of the test split is a tone of 1 kHz or 2 kHz, that of another split one of 3 kHz."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(1)
    silence = np.zeros(RATE, np.float32)
    corpora = {
        "librispeech-251-readers": [
            ({"speaker": f"{split}{n}", "split": split}, voice(random, 5, RATE))
            for split in ("test", "val")
            for n in range(6)
        ],
        "librispeech-test-other-10x10": [({"speaker": "o", "split": "test"}, voice(random, 3, RATE)) for _ in range(3)],
        "noise": [
            ({"category": "low", "split": "test"}, np.concatenate([silence, tone(1000), silence])),
            ({"category": "low", "split": "test"}, silence),
            ({"category": "high", "split": "test"}, tone(2000)),
            ({"category": "low", "split": "val"}, tone(3000)),
            ({"category": "low", "split": "train"}, tone(3000)),
        ],
        "noise-objects": [({"category": "high", "split": "test"}, tone(2000))],
        "noise-esc50-16k": [({"category": "high", "split": "test"}, tone(2000))],
    }
    for name, items in corpora.items():
        write_corpus(folder, name, named(name, items), RATE)
    return folder


@pytest.fixture(scope="module")
def clips(data):
    return build_noisy_set(data, "wide-band")


def test_a_set_is_the_same_each_time_and_a_part_of_it_its_beginning(data, clips):
    again = build_noisy_set(data, "wide-band", count=12)
    assert [clip.id for clip in again] == [clip.id for clip in clips[:12]]
    assert all(np.array_equal(one.noisy, other.noisy) for one, other in zip(again, clips, strict=False))
    assert len({clip.id for clip in clips}) == len(clips) == NOISY_SETS["wide-band"].count


def test_the_snr_is_against_the_active_level(clips):
    for clip in clips:
        measured = active_level_db(clip.clean, clip.sample_rate) - level_db(clip.noise)
        assert measured == pytest.approx(clip.snr_db, abs=0.01)
        assert np.abs(clip.noisy).max() <= PEAK + 1e-6
        assert active_level_db(clip.clean, clip.sample_rate) <= SPEECH_LEVEL_DB + 0.01


def test_snrs_and_babble_are_spread(clips):
    for snr_db in SNRS_DB:
        kinds = [clip.noise_kind for clip in clips if clip.snr_db == snr_db]
        assert len(kinds) == len(clips) / len(SNRS_DB)
        assert kinds.count(BABBLE) == len(kinds) / 5
        assert {"low", "high"} < set(kinds)


def test_noise_is_of_the_split_and_never_silence(clips):
    """Padding is trimmed and silent recordings are left out, so the tone is there all the time."""
    for clip in clips:
        if clip.noise_kind == BABBLE:
            continue
        spectrum = np.abs(np.fft.rfft(clip.noise * np.hanning(len(clip.noise))))
        peak = np.argmax(spectrum) * clip.sample_rate / len(clip.noise)
        assert peak == pytest.approx(1000 if clip.noise_kind == "low" else 2000, abs=5)
        blocks = clip.noise[: len(clip.noise) // 1600 * 1600].reshape(-1, 1600)
        assert np.abs(blocks).max(axis=1).min() > 0.1 * np.abs(clip.noise).max()


def test_talkers_are_of_the_split(data, clips):
    assert {clip.talker for clip in clips} == {*(f"test{n}" for n in range(6)), "o"}
    chosen = build_noisy_set(data, "wide-band", split="val", count=12)
    assert {clip.talker for clip in chosen} == {f"val{n}" for n in range(6)}


def test_clips_are_joined_and_have_a_length(data, clips):
    joined = next(clip for clip in clips if clip.talker == "o")
    assert len(joined.clean) == (3 * 3 + 2 * 0.3) * RATE
    assert not joined.clean[3 * RATE : round(3.3 * RATE)].any()


def test_a_clip_spells_itself_out(clips):
    assert clips[1].as_json() == {
        "id": clips[1].id,
        "sample_rate": 16_000,
        "snr_db": 5,
        "noise_kind": clips[1].noise_kind,
        "talker": "test1",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"which": "narrow"}, "one of full-band, wide-band, got 'narrow'", id="set"),
        pytest.param({"which": "full-band", "split": "train"}, "one of test, val, got 'train'", id="split"),
        pytest.param({"which": "full-band", "count": 0}, "at least 1, got 0", id="count"),
    ],
)
def test_what_there_is_not_is_refused(data, arguments, message):
    with pytest.raises(ValueError, match=message):
        build_noisy_set(data, **arguments)


def test_a_missing_corpus_is_named(data):
    with pytest.raises(AudioFileError, match=r"kathleen-48k\.jsonl: is missing; --data or VIVAVOCE_DATA"):
        build_noisy_set(data, "full-band")
