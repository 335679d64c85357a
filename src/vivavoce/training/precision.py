"""In which precision networks are trained: bfloat16 where the processor multiplies it, float32 elsewhere.

Where it does not, PyTorch makes do: products take up to 40 times as long as in float32 (AVX2 alone, measured).
"""

from __future__ import annotations

import torch

NATIVE = ("avx512_bf16", "amx_bf16", "bf16")  # of x86, and of Arm


def matrix_precision(device: torch.device) -> torch.dtype:
    """Of matrix products on this device."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    else:
        known = getattr(torch.cpu, "get_capabilities", dict)()  # older ones do not say
        native = any(known.get(name, False) for name in NATIVE)
    return torch.bfloat16 if native else torch.float32


def mixed_precision(device: torch.device, wanted: bool = True) -> torch.autocast:
    """A context whose matrix products have it, if that is wanted."""
    precision = matrix_precision(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and precision == torch.bfloat16)
