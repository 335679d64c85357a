import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
import soundfile

from vivavoce.errors import AudioFileError
from vivavoce.evaluation.clips import Clip, clips_of_corpus, clips_of_paths, spread


def tone(seconds, level=0.1, sample_rate=16_000):
    return (level * np.sin(np.arange(round(seconds * sample_rate)) * 0.05)).astype(np.float32)


def flac(samples, sample_rate=16_000):
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


@pytest.fixture
def corpus(tmp_path):
    """Two speakers, whose files take turns in the manifest."""
    files = {"a0": ("7", 1.5), "b0": ("9", 0.7), "a1": ("7", 1.0), "b1": ("9", 0.5)}
    with tarfile.open(tmp_path / "tiny.tar", "w") as archive:
        for number, (name, (_, seconds)) in enumerate(files.items(), start=1):
            data = flac(tone(seconds, 0.1 * number))
            info = tarfile.TarInfo(f"{name}.flac")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    lines = [{"id": name, "file": f"{name}.flac", "speaker": speaker} for name, (speaker, _) in files.items()]
    (tmp_path / "tiny.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_a_corpus_is_joined_per_speaker_cut_and_its_remainder_dropped(corpus):
    clips = clips_of_corpus(corpus, "tiny", piece_s=1.0)
    assert [clip.id for clip in clips] == ["7/000", "7/001", "9/000"]
    joined = np.concatenate([tone(1.5, 0.1), tone(1.0, 0.3)])
    assert np.concatenate([clip.samples for clip in clips[:2]]) == pytest.approx(joined[:32_000], abs=2**-15)
    assert all(clip.duration_s == 1 and clip.samples.dtype == np.float32 for clip in clips)


def test_a_clip_is_known_by_the_hash_of_its_16_bit_samples():
    clip = Clip("x", np.array([0.5, -1.0, 0.0], np.float32))
    assert clip.sha256 == hashlib.sha256(bytes.fromhex("0040 0080 0000")).hexdigest()


@pytest.mark.parametrize("missing", ["tiny.tar", "tiny.jsonl"])
def test_a_missing_part_of_a_corpus_is_named(corpus, missing):
    (corpus / missing).unlink()
    with pytest.raises(AudioFileError, match=rf"{missing}: is missing; --data or VIVAVOCE_DATA"):
        clips_of_corpus(corpus, "tiny")


def test_a_tar_that_is_none_is_named(corpus):
    (corpus / "tiny.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(AudioFileError, match=r"tiny\.tar: is no readable tar"):
        clips_of_corpus(corpus, "tiny")


def test_a_file_that_the_tar_lacks_is_named(corpus):
    with open(corpus / "tiny.jsonl", "a") as manifest:
        manifest.write('{"id": "c", "file": "c.flac"}\n')
    with pytest.raises(AudioFileError, match=r"holds no file 'c\.flac'"):
        clips_of_corpus(corpus, "tiny", piece_s=0.1)


def test_a_folder_is_searched_for_sound_files_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/one.wav", "a.flac"):
        soundfile.write(tmp_path / name, tone(0.5, sample_rate=8000), 8000)
    (tmp_path / "notes.txt").write_text("no sound")
    clips = clips_of_paths([tmp_path])
    assert [(clip.id, clip.duration_s) for clip in clips] == [("a", 0.5), ("b/one", 0.5)]


def test_single_files_are_called_by_their_name(tmp_path):
    soundfile.write(tmp_path / "one.wav", tone(0.5), 16_000)
    assert [clip.id for clip in clips_of_paths([tmp_path / "one.wav"])] == ["one"]
    with pytest.raises(ValueError, match="two clips are called 'one'"):
        clips_of_paths([tmp_path / "one.wav", tmp_path])


def test_a_folder_without_sound_is_named(tmp_path):
    with pytest.raises(AudioFileError, match="holds no sound files"):
        clips_of_paths([tmp_path])


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        pytest.param(None, [0, 1, 2, 3, 4, 5, 6], id="all"),
        pytest.param(3, [0, 2, 4], id="spread"),
        pytest.param(1, [0], id="one"),
        pytest.param(50, [0, 1, 2, 3, 4, 5, 6], id="more than there are"),
    ],
)
def test_a_limit_keeps_clips_from_everywhere(limit, kept):
    clips = [Clip(str(number), tone(0.1)) for number in range(7)]
    assert [int(clip.id) for clip in spread(clips, limit)] == kept


def test_a_limit_of_none_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        spread([Clip("a", tone(0.1))], 0)
