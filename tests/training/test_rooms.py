import numpy as np
import pytest

from corpora import write_corpus
from vivavoce.training import rooms
from vivavoce.training.rooms import (
    early_response,
    from_direct_path,
    measured_rooms,
    reverberation_s,
    simulate_rooms,
)

EARLY = 960


def decaying(decay_s, seconds=1.0, seed=0):
    """Noise that decays by 60 dB in `decay_s`, after a direct path of 1."""
    time = np.arange(round(seconds * 48_000)) / 48_000
    response = 0.3 * np.random.default_rng(seed).standard_normal(len(time)) * 10 ** (-3 * time / decay_s)
    response[0] = 1
    return response.astype(np.float32)


@pytest.mark.parametrize("decay_s", [0.1, 0.2, 0.5, 1.0])
def test_the_decay_of_a_known_room_is_found(decay_s):
    assert reverberation_s(decaying(decay_s, 2 * decay_s)) == pytest.approx(decay_s, rel=0.07)


@pytest.mark.parametrize("decay_s", [0.3, 0.5, 0.8, 1.5])
def test_the_target_keeps_early_reflections_and_decays_in_200_ms(decay_s):
    response = decaying(decay_s, 1.2)
    early = early_response(response)
    assert (early[:EARLY] == response[:EARLY]).all()
    assert reverberation_s(early) == pytest.approx(0.2, rel=0.1)


def test_a_dry_room_stays_as_it_is():
    response = decaying(0.15, 0.4)
    assert (early_response(response) == response).all()


def test_a_response_begins_with_the_direct_path_though_a_reflection_is_louder():
    response = np.zeros(4_800, np.float32)
    response[[500, 505, 1_500]] = -0.2, -0.4, 0.9
    aligned = from_direct_path(response)
    assert aligned[0] == 1
    assert aligned[1_500 - 505] == pytest.approx(-0.9 / 0.4)
    assert np.count_nonzero(aligned) == 2


def test_a_silent_response_is_refused():
    with pytest.raises(ValueError, match="silent"):
        from_direct_path(np.zeros(100, np.float32))


def test_measured_rooms_are_aligned_and_have_one_response(tmp_path):
    response = np.pad(0.5 * decaying(0.6), (700, 0))
    write_corpus(tmp_path, "rir", [({"id": "hall"}, response)], 48_000)
    for _ in range(2):  # made, then from the cache
        (room,) = measured_rooms(tmp_path, tmp_path / "cache")
        assert room.id == "hall"
        assert room.speech[0] == 1
        assert room.decay_s == pytest.approx(0.6, rel=0.1)
        assert reverberation_s(room.early) == pytest.approx(0.2, rel=0.1)
        assert (room.noises[0] == room.speech).all()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    pytest.importorskip("pyroomacoustics")
    return simulate_rooms(3, 3, tmp_path_factory.mktemp("rooms"))


def test_simulated_rooms_have_aligned_speech_and_other_places_for_noise(simulated):
    for room in simulated:
        assert room.speech[0] == 1
        assert room.speech.dtype == np.float32
        assert np.abs(room.speech[1:]).max() < 1
        assert len(room.noises) == rooms.NOISE_POSITIONS
        assert all(len(part) <= 0.8 * 48_000 for part in (room.speech, room.early, *room.noises))
        assert not np.array_equal(room.noises[0], room.speech[: len(room.noises[0])])
        common = min(EARLY, len(room.early))
        assert (room.early[:common] == room.speech[:common]).all()
        assert reverberation_s(room.early) < 0.22
    assert len({room.decay_s for room in simulated}) == 3


def test_the_seed_decides_and_the_cache_serves(simulated, tmp_path, monkeypatch):
    fewer = simulate_rooms(2, 3, tmp_path)
    assert all((one.speech == other.speech).all() for one, other in zip(fewer, simulated[:2], strict=True))
    monkeypatch.setattr(rooms, "_simulate", None)
    assert (simulate_rooms(2, 3, tmp_path)[1].early == fewer[1].early).all()
    assert simulate_rooms(0, 3, tmp_path) == []
    with pytest.raises(ValueError, match="count must not be negative, got -1"):
        simulate_rooms(-1, 3, tmp_path)
