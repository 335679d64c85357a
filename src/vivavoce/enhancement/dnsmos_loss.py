"""What listeners would say of denoised speech, as DNSMOS predicts it, with a gradient.

C. K. A. Reddy et al., "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to evaluate noise
suppressors" (ICASSP 2022). The network is the published one, read from the package `speechmos` and run in PyTorch; it
hears 16-kHz sound that is made from the noisy spectra and the gains, without the comb filter, which it hardly hears.

A network that is trained by its judge learns what the judge likes: over 840 steps with this term, OVRL of 16 clips of
`val` rose by 0.16 at no cost in PESQ or STOI; on the test clips OVRL rose by 0.14, and the P.808 opinion, which is in
no loss, by 0.06. So the term is one of many, and what it has brought has to be seen in figures that are in no loss.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vivavoce.enhancement.features import ERB_BANDS
from vivavoce.errors import MissingExtraError
from vivavoce.signal.stft import vorbis_window

SAMPLE_RATE = 16_000
HOP, WINDOW = 160, 320
BEST = 5.0  # mean opinion
OVRL = 2  # after signal and background
CALIBRATION = (0.04602535, 1.11546468, -0.06766283)  # from the network's OVRL to opinions: a polynomial, as published
MIN_POWER = 1e-12
POOLED = (3, 4, 5)  # convolutions that a maximum over 2 x 2 follows
_CONVOLUTIONS = ("conv2d", *(f"conv2d_{number}" for number in range(1, 7)))
_DENSE = tuple(f"mos_estimator_logpow/{name}" for name in ("dense", "dense_1", "dense_3"))


def dnsmos_distance(gains: Tensor, noisy: Tensor) -> Tensor:
    """What is missing to the best opinion of overall quality.

    Args:
        gains: As they are applied, shape (batch, frames, 34); frame l is centred on sample 160 l.
        noisy: 16-kHz samples at an ordinary level, some -26 dBFS, shape (batch, samples).

    Returns:
        Shape (batch,), 0 to 4.

    Raises:
        MissingExtraError: `speechmos` or `onnx` is not installed.
    """
    opinions = _network(noisy.device)(denoised_sound(gains, noisy))[:, OVRL]
    constant, linear, square = CALIBRATION
    return BEST - (constant + linear * opinions + square * opinions.square())


def denoised_sound(gains: Tensor, noisy: Tensor) -> Tensor:
    """Gains applied to the spectra of 16-kHz samples, as `apply_gains` does at 48 kHz.

    Args:
        gains: Shape (batch, frames, 34).
        noisy: Shape (batch, samples); silent outside.

    Returns:
        Shape (batch, 160 (frames - 1)).
    """
    frames = gains.shape[1]
    window = torch.from_numpy(vorbis_window(WINDOW)).to(noisy.device)
    padded = functional.pad(noisy, (HOP, (frames + 1) * HOP))[:, : (frames + 1) * HOP]
    spectra = torch.fft.rfft(padded.unfold(-1, WINDOW, HOP) * window)
    bins = ERB_BANDS.interpolate(np.eye(gains.shape[-1]))[:, : spectra.shape[-1]]  # 50 Hz wide, as at 48 kHz
    with torch.autocast(noisy.device.type, enabled=False):
        shaped = spectra * (gains.float() @ torch.from_numpy(bins).float().to(noisy.device))
    pieces = (torch.fft.irfft(shaped, WINDOW) * window).unflatten(-1, (2, HOP))
    return (pieces[:, :-1, 1] + pieces[:, 1:, 0]).flatten(1)


class DnsmosNetwork:
    """The network of DNSMOS P.835: samples to its raw opinions of signal, background and overall quality.

    Args:
        weights: The arrays of its ONNX file, by name.
        device: Where it runs.

    Raises:
        KeyError: They are of another network.
    """

    def __init__(self, weights: dict[str, np.ndarray], device: torch.device) -> None:
        def tensor(name: str) -> Tensor:
            return torch.from_numpy(np.array(weights[name], np.float32)).to(device)

        parts = [tensor(f"time2freq/stft-{part}/kernel:0")[..., 0] for part in ("real", "imag")]
        self._transforms = torch.stack(parts)[:, None].mT  # with trained windows, no known one
        self._convolutions = [(tensor(f"{name}/kernel:0"), tensor(f"{name}/bias:0")) for name in _CONVOLUTIONS]
        end = "ReadVariableOp/resource:0"
        self._dense = [(tensor(f"{name}/MatMul/{end}"), tensor(f"{name}/BiasAdd/{end}")) for name in _DENSE]

    def __call__(self, samples: Tensor) -> Tensor:
        """Raw opinions of 16-kHz sound.

        Args:
            samples: Shape (batch, samples), at least 80 ms.

        Returns:
            Shape (batch, 3), before calibration.
        """
        exact = torch.autocast(samples.device.type, enabled=False)  # the convolutions alone may be in bfloat16
        with exact:
            power = (samples.float().unfold(-1, WINDOW, HOP) @ self._transforms).square().sum(0)
            x = power.clamp_min(MIN_POWER).log10()[:, None]
        for number, (kernel, bias) in enumerate(self._convolutions):
            x = functional.relu(functional.conv2d(x, kernel, bias, padding=1))
            if number in POOLED:
                x = functional.max_pool2d(x, 2)
        with exact:
            x = x.amax((2, 3)).float()
            for number, (matrix, bias) in enumerate(self._dense):
                x = (functional.relu(x) if number else x) @ matrix + bias
        return x


@lru_cache(maxsize=1)
def _network(device: torch.device) -> DnsmosNetwork:
    return DnsmosNetwork(_published_weights(), device)


def _published_weights() -> dict[str, np.ndarray]:
    package = find_spec("speechmos")  # its code is not wanted: importing it takes seconds
    if package is None or package.origin is None:
        raise MissingExtraError("train", "speechmos")
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingExtraError("train", "onnx") from error
    model = onnx.load(str(Path(package.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"))
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
