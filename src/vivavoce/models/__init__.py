"""The trained models of the package, a JSON card beside each; and any model file, shared by all of its streams."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path

from vivavoce import _core
from vivavoce.errors import ModelError

MODELS = Path(__file__).parent
MODEL_SUFFIX = ".vvm"


def find_model(model: str | Path) -> Path:
    """The file of a model.

    Args:
        model: Name of one that the package holds, or a path.

    Raises:
        ModelError: The package holds no model of this name.
    """
    if isinstance(model, Path) or os.path.basename(model) != model or model.endswith(MODEL_SUFFIX):
        return Path(model)
    path = MODELS / f"{model}{MODEL_SUFFIX}"
    if not path.is_file():
        names = ", ".join(sorted(each.stem for each in MODELS.glob(f"*{MODEL_SUFFIX}"))) or "none"
        raise ModelError(path, f"no model of this name; there are: {names}")
    return path


class SharedModel:
    """A model that lives as long as its streams.

    Attributes:
        core: What the streams are made with.
    """

    def __init__(self, core: _core.Model) -> None:
        self.core = core


_shared: weakref.WeakValueDictionary[tuple[str, int, int, int], SharedModel] = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


def load_model(path: Path) -> SharedModel:
    """The model of a file, mapped once as long as any stream uses it.

    Raises:
        ModelError: It is missing, damaged or of another version.
    """
    try:
        status = path.stat()
        key = (str(path.resolve()), status.st_ino, status.st_mtime_ns, status.st_size)
        with _shared_lock:
            model = _shared.get(key)
            if model is None:
                model = _shared[key] = SharedModel(_core.Model(path))
            return model
    except OSError as error:
        raise ModelError(path, error.strerror or "cannot be read") from error
    except ValueError as error:
        raise ModelError(path, "no model image of this version, or damaged") from error
