import numpy as np
import pytest

from vivavoce.redundancy.dred import DredReceiver, DredSender, with_dred
from vivavoce.redundancy.dred_rate import OVERHEAD, DredPlan, DredRate
from vivavoce.redundancy.payload import CHUNK_TICKS, LEVELS, SLOPES, model_id

RATE, PACKET_MS = 16_000, 20
LONG, SHORT = 0.95 ** np.arange(60), 0.2 ** np.arange(60)


def plan(bitrate_bps=12_000, survivors=LONG, max_ms=1040, every=1):
    return DredPlan.of(bitrate_bps, survivors, max_ms, PACKET_MS, every)


def test_long_bursts_need_more_time_and_short_ones_steeper_levels():
    long, short = plan(), plan(survivors=SHORT)
    assert SLOPES[long.slope] < SLOPES[short.slope]
    for first in (0, 6, 12, 15):
        assert long.schedule(first)[1] >= short.schedule(first)[1] >= 1
        assert long.schedule(first)[0].first == first


def test_a_coarser_beginning_covers_no_more():
    chunks = [plan().schedule(first)[1] for first in range(LEVELS)]
    assert chunks == sorted(chunks, reverse=True)


def test_no_more_is_described_than_was_asked_for():
    assert max(plan(max_ms=200).schedule(first)[1] for first in range(LEVELS)) == 5
    assert plan(max_ms=40).schedule(0)[1] == 1


def test_rarer_descriptions_cover_more():
    assert plan(survivors=SHORT, every=4).schedule(3)[1] > plan(survivors=SHORT).schedule(3)[1]


@pytest.mark.parametrize("every", [1, 4])
def test_descriptions_that_get_lost_too_cover_more_and_more_alike(every):
    some, many = (DredPlan.of(12_000, SHORT, 1040, PACKET_MS, every, lost_too) for lost_too in (0.0, 0.7))
    assert many.schedule(3)[1] > some.schedule(3)[1]
    assert many.slope <= some.slope


def write_all(rate, sender, samples):
    sizes = []
    for frame in samples[: len(samples) // 320 * 320].reshape(-1, 320):
        sender.process(frame)
        sizes.append(len(rate.next(960) or b""))
    return np.array(sizes)


@pytest.mark.parametrize("bitrate_bps", [4_000, 8_000, 16_000, 32_000])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_the_rate_is_kept_and_used(speech_16k, bitrate_bps, every):
    sender = DredSender(RATE, 0)
    rate = DredRate(sender, plan(bitrate_bps, every=every), PACKET_MS)
    sizes = write_all(rate, sender, np.tile(speech_16k, 2))
    seconds = len(sizes) * PACKET_MS / 1000
    used = 8 * (sizes.sum() + OVERHEAD * (sizes > 0).sum()) / seconds
    assert used <= 1.03 * bitrate_bps + 4_000 / seconds  # what may be saved up
    if 12_000 <= bitrate_bps * every <= 64_000:  # with more, the finest level leaves some
        assert used > 0.75 * bitrate_bps
        assert np.diff(np.flatnonzero(sizes)).min() >= every
        said = rate.tally.summary()
        assert said["descriptions"] == (sizes > 0).sum()
        assert said["bytes"] == pytest.approx(sizes[sizes > 0].mean() + OVERHEAD, abs=0.1)
        assert 40 <= said["covered_ms"] <= 1040


def test_descriptions_are_payloads(speech_16k):
    sender = DredSender(RATE, 0)
    rate = DredRate(sender, plan(32_000), PACKET_MS)
    for frame in speech_16k[:16_000].reshape(-1, 320):
        sender.process(frame)
        payload = rate.next(960)
    assert model_id(payload) == 1


def test_of_silence_there_is_nothing_to_say(speech_16k):
    sender = DredSender(RATE, 0)
    rate = DredRate(sender, plan(32_000), PACKET_MS)
    sizes = write_all(rate, sender, np.concatenate([speech_16k[:16_000], np.zeros(48_000, np.float32)]))
    assert (sizes[20:50] > 0).mean() > 0.8
    assert not sizes[100:].any()
    assert rate.tally.silent >= 90
    assert "silence" in rate.tally.summary()["none"]


@pytest.mark.parametrize("bitrate_bps", [40_000, 80_000])
def test_no_more_is_asked_for_than_can_be_used(speech_16k, bitrate_bps):
    asked = plan(bitrate_bps, every=4)
    most = asked.most_bps(PACKET_MS)
    assert most < bitrate_bps
    used = []
    for rate_bps in (most, bitrate_bps):
        sender = DredSender(RATE, 0)
        rate = DredRate(sender, plan(rate_bps, every=4), PACKET_MS)
        sizes = write_all(rate, sender, speech_16k)
        used.append(8 * (sizes.sum() + OVERHEAD * (sizes > 0).sum()) / (len(sizes) * PACKET_MS / 1000))
    assert 0.6 * most < used[0] <= most
    assert used[1] < 1.1 * used[0]


@pytest.mark.parametrize("seconds", [1, 60])
def test_digital_silence_is_never_described(seconds):
    sender = DredSender(RATE, 0)
    rate = DredRate(sender, plan(32_000), PACKET_MS)
    assert not write_all(rate, sender, np.zeros(RATE * seconds, np.float32)).any()
    assert rate.tally.silent == 50 * seconds - 1  # at first there is no step to be silent


def test_what_is_loud_is_heard_in_each_step_of_a_packet():
    """60-ms packets with a click in the first of their three steps: beside it, the noise in between is silence."""
    sender = DredSender(RATE, 0, 960)
    rate = DredRate(sender, plan(32_000), 60)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(960).astype(np.float32)
    click = noise.copy()
    click[:160] += 0.5 * np.sin(np.arange(160, dtype=np.float32))
    for number in range(60):
        sender.process(noise if number % 30 else click)
        # what describes a step is told with the step after it: the first of all is never described
        assert (rate.next(2880) is not None) == (30 <= number < 37)


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_no_silence_is_described_before_what_was_spoken(frame_ms):
    """What is said begins with the chunk in which the noise does, however much of it is in the packet itself."""
    sender = DredSender(RATE, 0, 16 * frame_ms)
    rate = DredRate(sender, plan(64_000), frame_ms)
    noise = np.random.default_rng(0).normal(0, 0.1, 16 * 360).astype(np.float32)
    for frame in np.concatenate([np.zeros(16 * 1200, np.float32), noise]).reshape(-1, sender.frame_samples):
        sender.process(frame)
        payload = rate.next(48 * frame_ms)
    said = DredReceiver().redundancy_of(100_000, with_dred(b"\x48" + bytes(30), payload))
    began = 100_000 - 48 * (360 - frame_ms)
    assert began - CHUNK_TICKS < said.begin <= began


def test_a_rate_for_nothing_says_so(speech_16k):
    sender = DredSender(RATE, 0)
    rate = DredRate(sender, plan(1_000), PACKET_MS)
    assert not write_all(rate, sender, speech_16k).any()
    assert rate.tally.summary()["none"]["rate too low"] > 0


def test_a_turn_at_which_there_is_nothing_to_say_counts_once(speech_16k):
    sender = DredSender(RATE, 0)
    rate = DredRate(sender, plan(32_000, every=4), PACKET_MS)
    write_all(rate, sender, np.concatenate([speech_16k[: 2 * RATE], np.zeros(8 * RATE, np.float32)]))
    turns = rate.tally.count + rate.tally.silent + rate.tally.crowded
    assert rate.tally.silent > 50
    assert turns == pytest.approx(10 * 50 / 4, abs=4)


def test_whatever_is_heard_a_description_fits_a_block_of_red():
    class Sender(DredSender):
        def payload(self, start, levels, chunks):
            return bytes(50 * chunks + 10)  # longer than any speech makes it

    sender = Sender(RATE, 0)
    rate = DredRate(sender, plan(1_000_000), PACKET_MS)
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    assert 900 < write_all(rate, sender, noise).max() <= 1000
