import pickle
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest

from corpora import voice, write_corpus
from vivavoce.errors import AudioFileError
from vivavoce.training import corpus
from vivavoce.training.corpus import load_corpus, without_silent_ends


def test_a_clip_has_its_samples_at_48_khz_and_says_what_it_is(data, cache, speech):
    wide, narrow = speech[0], speech[2]
    assert (wide.id, wide.corpus, wide.speaker, wide.split) == ("w0-train", "wide", "w0", "train")
    assert (wide.bandwidth_hz, narrow.bandwidth_hz) == (24_000, 8_000)
    assert len(narrow) == len(narrow.samples) == 1.2 * 48_000
    assert narrow.samples.dtype == np.int16
    assert wide.read(480, 960) == pytest.approx(wide.samples[480:1440] / 32_768)
    assert wide.read().dtype == np.float32
    assert 30 < wide.snr_db < 60
    assert -30 < wide.level_db < -10


def test_a_tar_and_its_folder_hold_the_same(data, cache, speech, tmp_path):
    with tarfile.open(data / "narrow.tar") as archive:
        archive.extractall(tmp_path / "narrow", archive.getmembers())
    shutil.copy(data / "narrow.jsonl", tmp_path)
    unpacked = load_corpus(tmp_path, ["narrow"], "train", tmp_path / "cache")
    packed = [clip for clip in speech if clip.corpus == "narrow"]
    assert [clip.id for clip in unpacked] == [clip.id for clip in packed]
    assert all((one.samples == other.samples).all() for one, other in zip(unpacked, packed, strict=True))


@pytest.mark.parametrize("split", ["train", "val"])
def test_clips_of_other_splits_are_not_even_in_the_file(data, tmp_path, split):
    clips = load_corpus(data, ["wide", "narrow", "sounds"], split, tmp_path)
    assert {clip.split for clip in clips} == {split}
    assert {clip.id.rpartition("-")[2] for clip in clips} == {split}
    stores = {clip.store.path: clip.store.path.stat().st_size for clip in clips}
    assert sum(stores.values()) == 2 * sum(map(len, clips))


def test_test_clips_are_for_scoring_only(data, cache):
    with pytest.raises(ValueError, match="'test' are for scoring, never for training"):
        load_corpus(data, ["wide"], "test", cache)
    assert {clip.split for clip in load_corpus(data, ["wide"], "test", cache, allow_test=True)} == {"test"}


def test_clips_without_a_split_are_in_every_split(tmp_path):
    write_corpus(tmp_path, "all", [({"id": "a"}, voice(np.random.default_rng(0), 0.5, 16_000))], 16_000)
    for split in ("train", "val"):
        assert [clip.id for clip in load_corpus(tmp_path, ["all"], split, tmp_path)] == ["a"]


def test_the_second_call_decodes_nothing_and_a_changed_file_is_decoded_again(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    write_corpus(tmp_path, "c", [({"id": "a"}, voice(random, 0.5, 16_000))], 16_000)
    first = load_corpus(tmp_path, ["c"], "train", tmp_path / "cache")[0].samples.copy()
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "resample", None)
        assert (load_corpus(tmp_path, ["c"], "train", tmp_path / "cache")[0].samples == first).all()
    write_corpus(tmp_path, "c", [({"id": "a"}, voice(random, 0.7, 16_000))], 16_000)
    assert len(load_corpus(tmp_path, ["c"], "train", tmp_path / "cache")[0]) == 0.7 * 48_000


def test_half_a_cache_is_made_again(data, tmp_path):
    before = load_corpus(data, ["wide"], "val", tmp_path)
    next(tmp_path.glob("*.json")).unlink()
    before[0].store.path.write_bytes(b"")
    assert (load_corpus(data, ["wide"], "val", tmp_path)[0].samples != 0).any()


def test_a_failure_leaves_no_cache(tmp_path):
    write_corpus(tmp_path, "c", [({"id": "a"}, voice(np.random.default_rng(0), 0.5, 16_000))], 16_000)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.flac").write_bytes(b"no sound")
    with pytest.raises(AudioFileError, match=r"a\.flac: "):
        load_corpus(tmp_path, ["c"], "train", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_clip_goes_to_another_process_as_a_path(speech):
    data = pickle.dumps(speech)
    assert len(data) < 5_000
    assert (pickle.loads(data)[3].samples == speech[3].samples).all()


def test_silent_ends_are_cut_and_silent_clips_left_out(tmp_path):
    loud = 0.1 * np.ones(4_800, np.float32)
    assert len(without_silent_ends(np.pad(loud, (9_600, 10_000)))) == 4_800
    silent, sound = np.zeros(8_000, np.float32), voice(np.random.default_rng(0), 0.5, 16_000)
    write_corpus(tmp_path, "c", [({"id": "silent"}, silent), ({"id": "sound"}, sound)], 16_000)
    assert [clip.id for clip in load_corpus(tmp_path, ["c"], "train", tmp_path)] == ["sound"]


@pytest.mark.parametrize("missing", ["wide.tar", "wide.jsonl"])
def test_a_missing_part_is_named(data, tmp_path, missing):
    for name in {"wide.tar", "wide.jsonl"} - {missing}:
        shutil.copy(data / name, tmp_path)
    with pytest.raises(AudioFileError, match=rf"{missing}: is missing; --data or VIVAVOCE_DATA"):
        load_corpus(tmp_path, ["wide"], "train", tmp_path / "cache")


def test_a_file_that_is_in_the_manifest_alone_is_named(data, tmp_path):
    shutil.copy(data / "wide.tar", tmp_path)
    (tmp_path / "wide.jsonl").write_text('{"id": "x", "file": "x.flac", "split": "train"}\n')
    with pytest.raises(AudioFileError, match=r"wide\.tar: holds no file 'x\.flac'"):
        load_corpus(tmp_path, ["wide"], "train", tmp_path / "cache")


def test_a_tar_that_is_none_is_named(data, tmp_path):
    shutil.copy(data / "wide.jsonl", tmp_path)
    (tmp_path / "wide.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(AudioFileError, match=r"wide\.tar: is no readable tar"):
        load_corpus(tmp_path, ["wide"], "train", tmp_path / "cache")


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        pytest.param(["wide"], "dev", "split must be one of train, val, test, got 'dev'", id="no such split"),
        pytest.param([], "train", "no clip of no corpus", id="no corpus"),
    ],
)
def test_impossible_requests_are_named(data, cache, names, split, message):
    with pytest.raises(ValueError, match=message):
        load_corpus(data, names, split, cache)


def test_worker_processes_start_without_torch_and_scipy():
    code = "import sys, vivavoce.training.mixing; sys.exit(any(name in sys.modules for name in ('torch', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
