"""Rooms to put speech and noise into: measured impulse responses, and simulated ones of the image-source method.

The target of a reverberant item is what PercepNet aims at (arXiv 2008.04259; the 2021 paper on its echo-cancelling
variant has the same): reflections within 20 ms of the direct path stay, for they help, and what comes later is
attenuated so that it decays by 60 dB in 200 ms. A drier room stays as it is.

In every response the direct path is at index 0 with gain 1, so that target, noisy and dry speech are aligned. Simulated
walls absorb all frequencies alike, unlike measured ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vivavoce.audio import resample
from vivavoce.errors import MissingExtraError
from vivavoce.training.corpus import SAMPLE_RATE
from vivavoce.training.manifest import CorpusFiles, corpus_entries
from vivavoce.training.store import SampleStore, key_of, open_store

RIR_CORPUS = "rir"
EARLY_S = 0.02
TARGET_DECAY_S = 0.2  # to -60 dB
MAX_SIMULATED_S, MAX_MEASURED_S = 0.8, 1.5
SIDE_M, HEIGHT_M, WALL_MARGIN_M = (3.0, 10.0), (2.3, 3.5), 0.3
DECAY_S = (0.15, 0.8)
TALKER_DISTANCE_M = (0.2, 3.0)  # from a headset's or laptop's microphone to one across a table
NOISE_POSITIONS = 2
# Reflections of one path that are simulated. It is what bounds the time: a small room with bare walls would take 140 of
# them and 5 s; with 45 its response ends early, after 0.4 s.
MAX_ORDER = 45
_SPEED_M_S = 343.0
_FRACTIONAL_DELAY = 40  # samples by which pyroomacoustics delays all, half the length of its interpolation filter
_DIRECT_SHARE = 0.3  # of the highest peak: the first that is higher is the direct path; a reflection may well be louder
_INAUDIBLE_DB = -70.0  # energy left at which a response is cut off
_STORE_VERSION = 1


@dataclass(frozen=True, eq=False)
class Room:
    """Impulse responses of one room, all at 48 kHz, float32, views of a memory-mapped file.

    Attributes:
        id: Names it.
        decay_s: Time in which its reverberation decays by 60 dB.
    """

    id: str
    decay_s: float
    store: SampleStore
    starts: tuple[int, ...]

    @property
    def speech(self) -> np.ndarray:
        """From the talker: direct path at index 0, gain 1."""
        return self._part(0)

    @property
    def early(self) -> np.ndarray:
        """From the talker, as the target has it: see `early_response`."""
        return self._part(1)

    @property
    def noises(self) -> list[np.ndarray]:
        """From other places; a measured room has one response, so there it is the talker's."""
        return [self._part(part) for part in range(2, len(self.starts) - 1)] or [self.speech]

    def _part(self, part: int) -> np.ndarray:
        return self.store.view(self.starts[part], self.starts[part + 1])


def measured_rooms(data_dir: str | Path, cache_dir: str | Path, name: str = RIR_CORPUS) -> list[Room]:
    """The rooms of a corpus of impulse responses, from the cache where they are in it.

    Raises:
        AudioFileError: Something is missing, or cannot be decoded.
        ValueError: The manifest is none.
    """
    entries = corpus_entries(data_dir, name)
    files = CorpusFiles(data_dir, name)

    def make() -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        decoded = files.decode(entry.file for entry in entries)
        for entry, (channels, sample_rate) in zip(entries, decoded, strict=True):
            # one channel: the mean of two microphones would be a comb filter
            response = from_direct_path(resample(channels[0], sample_rate, SAMPLE_RATE))
            yield _record(entry.id, [response[: round(MAX_MEASURED_S * SAMPLE_RATE)]])

    key = key_of(_STORE_VERSION, [(entry, files.size(entry.file)) for entry in entries])
    return _rooms(*open_store(cache_dir, f"{name}-{key}", "<f4", make))


def simulate_rooms(count: int, seed: int, cache_dir: str | Path) -> list[Room]:
    """Shoebox rooms of random size, absorption and places, from the cache where they are in it.

    Args:
        count: How many; 1,000 take some minutes.
        seed: The same seed gives the same rooms, the first of more rooms too.
        cache_dir: Where they are kept: about 200 kB a room.

    Returns:
        The rooms, each with one talker and two noises.

    Raises:
        MissingExtraError: pyroomacoustics is not installed.
        ValueError: `count` is negative.
    """
    if count < 0:
        raise ValueError(f"count must not be negative, got {count}")
    if not count:
        return []

    def make() -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        for number in range(count):
            yield _record(f"simulated-{seed}-{number}", _simulate(np.random.default_rng([seed, number])))

    key = key_of(_STORE_VERSION, SIDE_M, HEIGHT_M, DECAY_S, TALKER_DISTANCE_M, MAX_ORDER, NOISE_POSITIONS)
    return _rooms(*open_store(cache_dir, f"rooms-{count}-{seed}-{key}", "<f4", make))


def early_response(response: np.ndarray) -> np.ndarray:
    """What the target hears of a room: the first 20 ms, and a tail that decays by 60 dB in 200 ms.

    Args:
        response: Direct path at index 0, shape (samples,), float32.

    Returns:
        Shape (<= samples,), float32; cut off where it is inaudible.
    """
    decay_s = reverberation_s(response)
    if decay_s <= TARGET_DECAY_S:
        return response
    late_s = np.maximum(np.arange(len(response)) / SAMPLE_RATE - EARLY_S, 0)
    weights = 10 ** (-3 * late_s * (1 / TARGET_DECAY_S - 1 / decay_s))
    return _until_inaudible((response * weights).astype(np.float32))


def reverberation_s(response: np.ndarray) -> float:
    """Time in which the reverberation decays by 60 dB, from Schroeder's integral between -5 and -25 dB.

    The integral begins 20 ms after the direct path, which would hide the decay of what comes later.

    Args:
        response: Direct path at index 0, shape (samples,).

    Returns:
        Seconds; 0 where nothing comes after the first 20 ms.
    """
    late = response[round(EARLY_S * SAMPLE_RATE) :].astype(np.float64)
    left = np.cumsum(late[::-1] ** 2)[::-1]
    if not len(left) or left[0] <= 0:
        return 0.0
    begin, end = (int(np.count_nonzero(left >= left[0] * 10 ** (db / 10))) for db in (-5, -25))
    return 3 * (end - begin) / SAMPLE_RATE


def from_direct_path(response: np.ndarray) -> np.ndarray:
    """A response without what precedes the direct path, which gets gain 1; shape (<= samples,), float32.

    The direct path is the highest tap within a millisecond of the first that has 0.3 of the peak.

    Raises:
        ValueError: The response is silent.
    """
    heights = np.abs(response)
    if not heights.any():
        raise ValueError("an impulse response is silent")
    first = int(np.argmax(heights >= _DIRECT_SHARE * heights.max()))
    direct = first + int(np.argmax(heights[first : first + SAMPLE_RATE // 1000]))
    return (response[direct:] / response[direct]).astype(np.float32)


def _rooms(store: SampleStore, index: list[dict[str, Any]]) -> list[Room]:
    return [
        Room(
            fields["id"],
            fields["decay_s"],
            store,
            tuple(int(start) for start in fields["start"] + np.cumsum([0, *fields["lengths"]])),
        )
        for fields in index
    ]


def _record(identifier: str, responses: list[np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
    """What the store keeps of a room: the talker's response, its early form, and those of the noises."""
    speech, *noises = [_until_inaudible(response) for response in responses]
    parts = [speech, early_response(speech), *noises]
    fields = {"id": identifier, "decay_s": round(reverberation_s(speech), 4), "lengths": [len(part) for part in parts]}
    return fields, np.concatenate(parts)


def _until_inaudible(response: np.ndarray) -> np.ndarray:
    left = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    return response[: max(1, int(np.count_nonzero(left > left[0] * 10 ** (_INAUDIBLE_DB / 10))))]


def _simulate(random: np.random.Generator) -> list[np.ndarray]:
    """Responses from a talker and from noises to one microphone in one room."""
    try:
        import pyroomacoustics
    except ImportError as error:
        raise MissingExtraError("train", error.name or "pyroomacoustics") from None
    size, absorption, order = _shoebox(random)
    room = pyroomacoustics.ShoeBox(
        size, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(absorption), max_order=min(order, MAX_ORDER)
    )
    microphone = random.uniform(WALL_MARGIN_M, size - WALL_MARGIN_M)
    room.set_sound_speed(_SPEED_M_S)
    room.add_microphone(microphone)
    talker, delay = _talker(random, microphone, size)
    room.add_source(talker)
    for _ in range(NOISE_POSITIONS):
        room.add_source(random.uniform(WALL_MARGIN_M, size - WALL_MARGIN_M))
    room.compute_rir()
    assert room.rir is not None  # for the type checker: compute_rir() fills it
    speech, *noises = (np.asarray(response) for response in room.rir[0])
    direct = _FRACTIONAL_DELAY + delay
    longest = round(MAX_SIMULATED_S * SAMPLE_RATE)
    aligned = [(speech[direct:] / speech[direct]), *(from_direct_path(noise) for noise in noises)]
    return [response[:longest].astype(np.float32) for response in aligned]


def _shoebox(random: np.random.Generator) -> tuple[np.ndarray, float, int]:
    """Size in metres, absorption of the walls, and the order of reflections that its decay needs."""
    import pyroomacoustics

    decay_s = random.uniform(*DECAY_S)
    while True:
        size = np.array([*random.uniform(*SIDE_M, 2), random.uniform(*HEIGHT_M)])
        try:
            absorption, order = pyroomacoustics.inverse_sabine(decay_s, size, c=_SPEED_M_S)
        except ValueError:  # so large a room cannot be that dry: draw another
            continue
        return size, absorption, order


def _talker(random: np.random.Generator, microphone: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, int]:
    """A place, and its distance from the microphone in samples: a whole number, so the direct path is one tap."""
    while True:
        direction = random.standard_normal(3)
        delay = round(random.uniform(*TALKER_DISTANCE_M) / _SPEED_M_S * SAMPLE_RATE)
        place = microphone + direction / np.linalg.norm(direction) * (delay * _SPEED_M_S / SAMPLE_RATE)
        if (place > WALL_MARGIN_M).all() and (place < size - WALL_MARGIN_M).all():
            return place, delay
