"""Sequences that vocoders learn from."""

import numpy as np
import pytest

pytest.importorskip("torch")

from vivavoce.signal.cepstrum import FEATURES, HOP, LPC_ORDER
from vivavoce.vocoder.fargan import MEMORY
from vivavoce.vocoder.sequences import cut


def test_a_sequence_is_cut_where_it_says():
    """What belongs together stays together, and of two places the louder is taken."""
    frames, per_sample = np.arange(40), np.repeat(np.arange(40), HOP)[None].astype(np.float32)
    features = np.zeros((1, 40, FEATURES), np.float32)
    features[0, :, 0], features[0, :, 1] = np.where(frames > 20, 5, 0), frames
    items = {
        "features": features,
        "predictions": np.broadcast_to(frames[None, :, None, None], (1, 40, 4, LPC_ORDER)),
        "levels": np.broadcast_to(frames[None, :, None], (1, 40, 4)),
        "samples": per_sample,
        "excitation": -per_sample,
    }
    starts = []
    for seed in range(200):
        sequence = {name: array[0] for name, array in cut(items, 3, np.random.default_rng(seed)).items()}
        start = int(sequence["features"][1, 1])
        starts.append(start)
        assert sequence["features"][:, 1].tolist() == list(range(start - 1, start + 6))
        assert sequence["predictions"][:, 0, 0].tolist() == list(range(start, start + 5))
        assert sequence["levels"][:, 3].tolist() == list(range(start, start + 5))
        assert sequence["samples"].reshape(5, HOP)[:, 7].tolist() == list(range(start, start + 5))
        assert (sequence["excitation"] == -sequence["samples"]).all()
        assert sequence["past"].shape == (MEMORY,)
        assert sequence["past"][[0, -1]].tolist() == [-(start - 2), -(start - 1)]
        assert sequence["samples_before"].tolist() == [start - 1] * LPC_ORDER
    assert min(starts) >= 2
    assert max(starts) == 34
    assert np.mean(np.array(starts) > 17) > 0.6
