"""Networks with random weights, as a checkpoint holds them, for the tests of images and of the core."""

import numpy as np

TINY = (16, 32, 48, 16)  # widths of dense layer, convolutions, GRUs, GRU of the strengths
METADATA = {
    "system": "percepnet",
    "name": "percepnet-test-v1",
    "lookahead_frames": "2",
    "sample_rate": "48000",
    "version": "1",
}


def random_checkpoint(sizes=TINY, seed=0, *, zero_blocks=0.0):
    """State dict of a PercepNet; `zero_blocks` is the share of 16 x 4 blocks of the GRUs that become zero."""
    dense, conv, gru, strengths = sizes
    random = np.random.default_rng(seed)
    arrays = {}

    def add(name, *shape):
        fan_in = int(np.prod(shape[1:]))
        # about as strong as training leaves them: activations use their range, and no gate is stuck
        arrays[name] = (random.standard_normal(shape) * 1.5 / np.sqrt(fan_in)).astype(np.float32)

    add("input.weight", dense, 70)
    add("conv1.weight", conv, dense, 5)
    add("conv2.weight", conv, conv, 3)
    for name in ("input", "conv1", "conv2"):
        arrays[f"{name}.bias"] = random.normal(0, 0.2, len(arrays[f"{name}.weight"])).astype(np.float32)
    inputs = {"gru1": conv, "strengths_gru": gru + conv}
    for name in ("gru1", "gru2", "gru3", "gains_gru", "strengths_gru"):
        width = strengths if name == "strengths_gru" else gru
        add(f"{name}.weight_ih", 3 * width, inputs.get(name, gru))
        add(f"{name}.weight_hh", 3 * width, width)
        for bias in ("bias_ih", "bias_hh"):
            arrays[f"{name}.{bias}"] = random.normal(0, 0.2, 3 * width).astype(np.float32)
    for name, rows, columns in (("gains", 35, conv + 4 * gru), ("strengths", 34, strengths)):
        add(f"{name}.weight", rows, columns)
        arrays[f"{name}.bias"] = random.normal(0, 0.2, rows).astype(np.float32)
    for name, weights in arrays.items():
        if zero_blocks and ".weight_" in name:
            blocks = weights.reshape(len(weights) // 16, 16, -1, 4)
            blocks *= random.uniform(size=(blocks.shape[0], 1, blocks.shape[2], 1)) >= zero_blocks
    return arrays


def random_features(frames, seed=0):
    """Shape (frames, 70), float32, about as wide as those of speech."""
    return np.random.default_rng(seed).normal(0, 1, (frames, 70)).astype(np.float32)
