"""Noisy test sets, made from the corpora, the same on every machine: clean speech plus one kind of noise a clip.

Two sets, which are never pooled: `full-band` at 48 kHz, of the only voice that is recorded so (systems that were
trained on the other sentences of this voice must say so), and `wide-band` at 16 kHz, of many readers, with noise up to
8 kHz. Every clip has one of four SNRs (`mixing.py` says against what), and one kind of noise; every fifth of each SNR
has babble of other talkers instead. Noise and babble are of the split that is asked for and of no other; so is the
speech, except that the full-band voice has no test split: its `val` sentences serve both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivavoce.audio import resample
from vivavoce.evaluation.mixing import FRAME_S, active_level_db, frame_powers, level_db, mix
from vivavoce.training.manifest import CorpusFiles, ManifestEntry, corpus_entries

BABBLE = "babble"
BABBLE_EVERY = 5
BABBLE_TALKERS = (4, 12)  # fewer are competing talkers, more sound like stationary noise
SNRS_DB = (0, 5, 10, 15)
PAUSE_S = 0.3
MIN_SPEECH_S, FULL_SPEECH_S, MAX_SPEECH_S = 4.0, 8.0, 10.0  # utterances are joined until a clip is full
_FADE_S = 0.02
_SILENT_DB = -70.0  # a recording whose loudest frame is below is no noise
_TRIM_DB = 50.0  # what lies so far below the loudest frame at either end of a noise is padding


@dataclass(frozen=True, eq=False)
class NoisyClip:
    """A clip of clean speech and the same with noise.

    Attributes:
        id: Names it within its set, and is fit for a file name: `012-rain-05dB`.
        clean: Shape (samples,), float32 in [-1, 1).
        noisy: Like `clean`.
        sample_rate: Of both, in Hz.
        snr_db: Active speech level over the level of the noise.
        noise_kind: Category of the noise, or `babble`.
        talker: Who speaks.
    """

    id: str
    clean: np.ndarray
    noisy: np.ndarray
    sample_rate: int
    snr_db: int
    noise_kind: str
    talker: str

    @property
    def noise(self) -> np.ndarray:
        """What was added, shape (samples,)."""
        return self.noisy - self.clean

    def as_json(self) -> dict[str, str | int]:
        """Spell out all but the sound."""
        return {
            "id": self.id,
            "sample_rate": self.sample_rate,
            "snr_db": self.snr_db,
            "noise_kind": self.noise_kind,
            "talker": self.talker,
        }


@dataclass(frozen=True)
class NoisySet:
    """What a set is made of.

    Attributes:
        sample_rate: Of its clips, in Hz.
        count: How many clips it has.
        speech: Corpora of clean speech and the split taken from them, by the split of the set.
        noises: Corpora of noise; the split is that of the set.
    """

    sample_rate: int
    count: int
    speech: dict[str, tuple[tuple[str, str], ...]]
    noises: tuple[str, ...]


READERS = {
    "test": (("librispeech-251-readers", "test"), ("librispeech-test-other-10x10", "test")),
    "val": (("librispeech-251-readers", "val"),),
}
NOISY_SETS = {
    "full-band": NoisySet(
        sample_rate=48_000,
        count=40,
        speech={"test": (("kathleen-48k", "val"),), "val": (("kathleen-48k", "val"),)},
        noises=("noise", "noise-objects"),
    ),
    "wide-band": NoisySet(
        sample_rate=16_000, count=80, speech=READERS, noises=("noise", "noise-objects", "noise-esc50-16k")
    ),
}


def build_noisy_set(data_dir: str | Path, which: str, split: str = "test", count: int | None = None) -> list[NoisyClip]:
    """Make a noisy set.

    Args:
        data_dir: Holds the corpora, `NAME.tar` and `NAME.jsonl` each.
        which: `full-band` or `wide-band`.
        split: `test` for tables, `val` to choose models by.
        count: Make so many clips instead of those the set has; a smaller set is the beginning of a larger one.

    Returns:
        The clips; SNRs take turns.

    Raises:
        ValueError: No such set or split, `count` below 1, or a manifest is none.
        AudioFileError: A corpus is missing, or cannot be read.
    """
    check_set(which, split)
    noisy_set = NOISY_SETS[which]
    if count is not None and count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    rate = noisy_set.sample_rate
    speech = _speech(data_dir, noisy_set.speech[split], rate)
    noises = _Noises(data_dir, noisy_set.noises, split, rate)
    babble = _Babble(data_dir, READERS[split], rate)
    clips = []
    for number in range(noisy_set.count if count is None else count):
        random = np.random.default_rng([number, *split.encode()])
        talker, clean = speech[number % len(speech)]
        snr_db, turn = SNRS_DB[number % len(SNRS_DB)], number // len(SNRS_DB)
        if turn % BABBLE_EVERY == BABBLE_EVERY - 1:
            kind, noise = BABBLE, babble.draw(len(clean), talker, random)
        else:
            kind, noise = noises.draw(number - turn // BABBLE_EVERY * len(SNRS_DB), len(clean), random)
        clean, noisy = mix(clean, noise, rate, snr_db)
        clips.append(NoisyClip(f"{number:03d}-{kind}-{snr_db:02d}dB", clean, noisy, rate, snr_db, kind, talker))
    return clips


def check_set(which: str, split: str) -> None:
    """Find out before the work whether there is such a set.

    Raises:
        ValueError: There is none.
    """
    if which not in NOISY_SETS:
        raise ValueError(f"a noisy set must be one of {', '.join(NOISY_SETS)}, got {which!r}")
    splits = NOISY_SETS[which].speech
    if split not in splits:
        raise ValueError(f"the split must be one of {', '.join(splits)}, got {split!r}")


@dataclass(frozen=True)
class _Sound:
    """One recording of a corpus."""

    files: CorpusFiles
    entry: ManifestEntry

    def read(self, sample_rate: int) -> np.ndarray:
        """Shape (samples,), float32, mono."""
        ((channels, rate),) = self.files.decode([self.entry.file])
        return resample(channels.mean(axis=0, dtype=np.float32), rate, sample_rate)


class _Noises:
    """Noise of one split by kind; kinds take turns, and so do the recordings of each."""

    def __init__(self, data_dir: str | Path, corpora: Sequence[str], split: str, sample_rate: int) -> None:
        self._rate = sample_rate
        self._kinds: dict[str, list[_Sound]] = {}
        for name in corpora:
            for sound in _sounds(data_dir, name, split):
                self._kinds.setdefault(sound.entry.category or name, []).append(sound)
        if not self._kinds:
            raise ValueError(f"no noise of the split {split!r} in {', '.join(corpora)}")
        names = sorted(self._kinds)
        self._order = [names[at] for at in np.random.default_rng(0).permutation(len(names))]

    def draw(self, turn: int, length: int, random: np.random.Generator) -> tuple[str, np.ndarray]:
        """Join recordings of the kind whose turn it is; all at one level, so that each is heard."""
        shift = turn // math.lcm(len(self._order), len(SNRS_DB))  # or kinds and SNRs would meet in step
        kind = self._order[(turn + shift) % len(self._order)]
        files = self._kinds[kind]
        pieces: list[np.ndarray] = []
        missing = length
        for at in random.permutation(len(files)):
            piece = _trimmed(files[at].read(self._rate), self._rate)
            if len(piece):
                pieces.append(piece / 10 ** (level_db(piece) / 20))
                missing -= len(piece) - round(_FADE_S * self._rate)
            if missing <= 0:
                break
        if not pieces:
            raise ValueError(f"every recording of {kind!r} is silent")
        return kind, _joined(pieces, length, round(_FADE_S * self._rate))


class _Babble:
    """Sums of talkers of one split."""

    def __init__(self, data_dir: str | Path, corpora: Sequence[tuple[str, str]], sample_rate: int) -> None:
        self._rate = sample_rate
        self._files = _by_talker(data_dir, corpora)

    def draw(self, length: int, but: str, random: np.random.Generator) -> np.ndarray:
        """Sum up some talkers, `but` not among them, within 3 dB of each other's level."""
        others = sorted(set(self._files) - {but})
        low, high = BABBLE_TALKERS
        if len(others) < low:
            raise ValueError(f"babble needs {low} talkers besides {but!r}, got {len(others)}")
        count = int(random.integers(low, min(high, len(others)) + 1))
        total = np.zeros(length)
        for talker in random.permutation(len(others))[:count]:
            files = self._files[others[talker]]
            voice = files[int(random.integers(len(files)))].read(self._rate)
            voice = np.roll(voice, int(random.integers(len(voice))))
            gain_db = random.uniform(-1.5, 1.5) - active_level_db(voice, self._rate)
            total += np.resize(voice, length) * 10 ** (gain_db / 20)
        return total


def _by_talker(data_dir: str | Path, corpora: Sequence[tuple[str, str]]) -> dict[str, list[_Sound]]:
    talkers: dict[str, list[_Sound]] = {}
    for name, split in corpora:
        for sound in _sounds(data_dir, name, split):
            talkers.setdefault(sound.entry.speaker or name, []).append(sound)
    return talkers


def _sounds(data_dir: str | Path, name: str, split: str) -> list[_Sound]:
    """List the recordings of one split of a corpus, in the order of its manifest."""
    entries = corpus_entries(data_dir, name)
    files = CorpusFiles(data_dir, name)
    return [_Sound(files, entry) for entry in entries if entry.split == split]


def _speech(data_dir: str | Path, corpora: Sequence[tuple[str, str]], sample_rate: int) -> list[tuple[str, np.ndarray]]:
    """Clips of one talker each, talkers taking turns: the first clip of each, the second of each, and so on."""
    by_talker = []
    for talker, sounds in _by_talker(data_dir, corpora).items():
        clips = _speech_clips((sound.read(sample_rate) for sound in sounds), sample_rate)
        by_talker.append([(talker, clip) for clip in clips])
    turns = range(max((len(clips) for clips in by_talker), default=0))
    speech = [clips[turn] for turn in turns for clips in by_talker if turn < len(clips)]
    if not speech:
        raise ValueError(f"no speech of {MIN_SPEECH_S:g} s in {', '.join(name for name, _ in corpora)}")
    return speech


def _speech_clips(utterances: Iterator[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
    """Join utterances with pauses until a clip is full; what is longer than it may be is faded out."""
    pause = np.zeros(round(PAUSE_S * sample_rate), np.float32)
    clip = np.zeros(0, np.float32)
    for utterance in utterances:
        clip = np.concatenate([clip, pause, utterance]) if len(clip) else utterance
        if len(clip) >= FULL_SPEECH_S * sample_rate:
            yield _cut(clip, sample_rate)
            clip = np.zeros(0, np.float32)
    if len(clip) >= MIN_SPEECH_S * sample_rate:
        yield _cut(clip, sample_rate)


def _cut(clip: np.ndarray, sample_rate: int) -> np.ndarray:
    most = round(MAX_SPEECH_S * sample_rate)
    if len(clip) <= most:
        return clip
    fade = round(_FADE_S * sample_rate)
    clip = clip[:most].copy()
    clip[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return clip


def _trimmed(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Without the padding at both ends; empty where the recording is silent throughout."""
    powers = frame_powers(samples, sample_rate)
    if powers.max() < 10 ** (_SILENT_DB / 10):
        return samples[:0]
    loud = np.flatnonzero(powers >= powers.max() * 10 ** (-_TRIM_DB / 10))
    frame = round(FRAME_S * sample_rate)
    return samples[loud[0] * frame : (loud[-1] + 1) * frame]


def _joined(pieces: Sequence[np.ndarray], length: int, fade: int) -> np.ndarray:
    """Join with cross-fades of equal power, in turn until the length is reached."""
    rise = np.sin(np.linspace(0, np.pi / 2, fade))
    total = np.zeros(length + fade)
    at = turn = 0
    while at < length:
        piece = pieces[turn % len(pieces)].astype(np.float64)
        slope = min(fade, len(piece) // 2)
        if turn:
            piece[:slope] *= rise[:slope] if slope == fade else np.linspace(0, 1, slope)
        if slope:
            piece[-slope:] *= rise[::-1][-slope:] if slope == fade else np.linspace(1, 0, slope)
        end = min(at + len(piece), len(total))
        total[at:end] += piece[: end - at]
        at += len(piece) - slope
        turn += 1
    return total[:length]
