import numpy as np
import pytest

from vivavoce.transport.splice import SEARCH_S, splice

RATE = 16_000


def tone(seconds=0.02, hertz=200.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("change", [-160, -100, -37, -1, 1, 37, 100, 160, 5000, -5000])
@pytest.mark.parametrize("sound", [tone(), np.zeros(320, np.float32), tone(0.02, 90)], ids=["tone", "silence", "low"])
def test_the_length_changes_by_about_the_wish(sound, change):
    spliced = splice(sound, change, RATE)
    wish = max(-len(sound) // 2, min(len(sound) // 2, change))
    assert abs(len(spliced) - len(sound) - wish) <= SEARCH_S * RATE
    assert np.sign(len(spliced) - len(sound)) == np.sign(change)
    assert np.abs(spliced).max() <= np.abs(sound).max() + 1e-6


def test_no_change_is_no_change():
    sound = tone()
    assert splice(sound, 0, RATE) is sound


@pytest.mark.parametrize("change", [-100, 100])
def test_a_tone_is_joined_in_phase(change):
    """Its steepest step afterwards is that of the tone: nothing clicks, at the ends neither."""
    before, sound, after = np.split(tone(0.06), 3)
    joined = np.concatenate([before, splice(sound, change, RATE), after])
    assert np.abs(np.diff(joined)).max() < 1.3 * np.abs(np.diff(tone())).max()


def test_silence_changes_by_exactly_the_wish():
    assert len(splice(np.zeros(320, np.float32), 50, RATE)) == 370
