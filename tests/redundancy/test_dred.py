import numpy as np
import pytest

from vivavoce import Processor
from vivavoce.redundancy.dred import DredSender
from vivavoce.redundancy.payload import LevelSchedule

RATE, LOOK_AHEAD = 16_000, 104
FINEST = LevelSchedule(0)


def heard(sender, samples):
    frames = samples[: len(samples) // sender.frame_samples * sender.frame_samples].reshape(-1, sender.frame_samples)
    assert all(sender.process(frame) is frame for frame in frames)
    return sender


def test_a_sender_is_a_processor_that_changes_nothing():
    sender = DredSender(48_000, 312)
    assert isinstance(sender, Processor)
    assert (sender.sample_rate, sender.frame_samples, sender.delay_samples) == (48_000, 960, 0)
    assert sender.flush().shape == (0,)


def test_frames_of_any_length_say_the_same(speech_16k):
    senders = [heard(DredSender(RATE, LOOK_AHEAD, length), speech_16k[:28_800]) for length in (160, 320, 960)]
    payloads = {sender.payload(960, FINEST, 26) for sender in senders}
    assert len(payloads) == 1
    assert len(payloads.pop()) > 50


def test_after_a_reset_it_begins_anew(speech_16k):
    fresh, used = DredSender(RATE, LOOK_AHEAD), heard(DredSender(RATE, LOOK_AHEAD), speech_16k[5_000:30_000])
    used.reset()
    assert used.steps == 0
    assert used.payload(960, FINEST, 26) is None
    said = [heard(sender, speech_16k[:16_000]).payload(960, FINEST, 26) for sender in (fresh, used)]
    assert said[0] == said[1]


def test_a_frame_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"shape \(320,\), got \(321,\)"):
        DredSender(RATE, LOOK_AHEAD).process(np.zeros(321, np.float32))
