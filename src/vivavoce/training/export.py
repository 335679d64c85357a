"""What a finished run leaves for users: weights, the image that the core loads, and a card that says how it was made.

A model is named `system-size-vN` and never changes once it is released.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from vivavoce.audio import write_whole

LICENCES = {
    "kathleen-48k": "CC0",
    "librispeech-251-readers": "CC BY 4.0",
    "librispeech-4-readers": "CC BY 4.0",
    "speechocean762": "free for commercial and non-commercial use",
    "noise": "CC BY and CC0, by file",
    "noise-objects": "CC BY 3.0, MIT and CC0, by file",
    "noise-esc50-16k": "CC BY and CC0, by file",
    "rir": "CC BY 4.0, CC0 and public domain, by file",
}


def read_weights(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Weights of a safetensors file as float32, and its metadata.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such file.
    """
    try:
        with safe_open(str(path), "np") as file:
            weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
            return weights, file.metadata() or {}
    except (OSError, FileNotFoundError):
        raise
    except Exception as error:  # safetensors has an error class of its own, outside of all others
        raise ValueError(f"{path}: no weights: {error}") from None


def write_weights(path: str | Path, weights: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Weights in half precision: what int8 makes of them does not need more."""
    halves = {name: np.ascontiguousarray(weight.astype(np.float16)) for name, weight in weights.items()}
    partial = Path(path).with_suffix(".partial")
    save_file(halves, partial, dict(metadata))
    partial.replace(path)


def write_model(folder: Path, name: str, weights: Path, image: bytes, card: Mapping[str, Any]) -> None:
    """NAME.safetensors, NAME.vvm and NAME.json.

    Args:
        folder: Where.
        name: Of the model.
        weights: Their file.
        image: What the core loads.
        card: How the model was made.
    """
    write_whole(folder / f"{name}.safetensors", lambda file: file.write(weights.read_bytes()))
    write_whole(folder / f"{name}.vvm", lambda file: file.write(image))
    text = json.dumps({"name": name, **card}, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / f"{name}.json", lambda file: file.write(text.encode()))


def source_revision() -> str:
    """Commit of the source that is running, "" where it is not a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
