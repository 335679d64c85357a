"""What can go wrong that is not a wrong argument.

Wrong arguments raise `ValueError` or `TypeError`. Everything else that the package raises on purpose derives from
`VivavoceError` and carries the values that a caller needs to decide what to do.
"""

from __future__ import annotations

from pathlib import Path


class VivavoceError(Exception):
    """Base of the errors that the package raises on purpose; its text is one clear line."""


class PacketError(VivavoceError, ValueError):
    """Bytes from the network that do not follow their RFC. Parsers raise this and nothing else."""


class CodecError(VivavoceError):
    """libopus is missing, or refused what it was asked to do.

    Attributes:
        code: The negative error code of libopus, or None where no library was found.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class MissingExtraError(VivavoceError):
    """A verb needs packages of an extra that is not installed.

    Attributes:
        extra: Name of the extra, such as "evaluate".
        module: The module that could not be imported.
    """

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(f"{module} is not installed; it comes with: pip install 'vivavoce[{extra}]'")
        self.extra = extra
        self.module = module


class AudioFileError(VivavoceError):
    """A sound file that cannot be read or written.

    Attributes:
        path: The file, "-" for a pipe.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)


class ModelError(VivavoceError):
    """A trained model that is missing, damaged or made for something else.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
