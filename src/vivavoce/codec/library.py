"""libopus, found on this machine and called through ctypes.

Three places are searched, in this order: the file that the environment variable VIVAVOCE_LIBOPUS names, the copy inside
PyAV's wheel (read from the disk, PyAV itself is never imported), and the system's. ctypes releases the interpreter's
lock during a call, so streams in different threads run beside each other.

Only the functions that every libopus since 1.3 has are required. What a newer or a differently built one adds (reading
the LBRR flag, neural concealment, deep redundancy) is tried by `vivavoce.codec.capabilities`, because a symbol that
exists may still answer "unimplemented", as the DRED calls of PyAV's copy do.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vivavoce.errors import CodecError

ENVIRONMENT_VARIABLE = "VIVAVOCE_LIBOPUS"
Origin = Literal["VIVAVOCE_LIBOPUS", "PyAV", "system"]

# names that find_library misses where neither ldconfig nor a compiler is installed, as in slim containers
SYSTEM_NAMES = ("libopus.so.0", "libopus.0.dylib", "/opt/homebrew/lib/libopus.0.dylib", "opus.dll", "libopus-0.dll")

_state, _bytes, _floats = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
_int, _int32, _ints = ctypes.c_int, ctypes.c_int32, ctypes.c_void_p

# name: (result, arguments). The ctl calls are variadic: only their fixed arguments may be declared, the others are
# passed as ctypes objects (the calling convention of Apple's arm64 differs for them).
REQUIRED = {
    "opus_get_version_string": (ctypes.c_char_p, ()),
    "opus_strerror": (ctypes.c_char_p, (_int,)),
    "opus_encoder_get_size": (_int, (_int,)),
    "opus_encoder_init": (_int, (_state, _int32, _int, _int)),
    "opus_encode_float": (_int32, (_state, _floats, _int, _bytes, _int32)),
    "opus_encoder_ctl": (_int, (_state, _int)),
    "opus_decoder_get_size": (_int, (_int,)),
    "opus_decoder_init": (_int, (_state, _int32, _int)),
    "opus_decode_float": (_int, (_state, _bytes, _int32, _floats, _int, _int)),
    "opus_decoder_ctl": (_int, (_state, _int)),
    "opus_packet_parse": (_int, (_bytes, _int32, _ints, _ints, _ints, _ints)),
    "opus_packet_get_nb_samples": (_int, (_bytes, _int32, _int32)),
    "opus_packet_pad": (_int, (_bytes, _int32, _int32)),
    "opus_packet_unpad": (_int32, (_bytes, _int32)),
}
OPTIONAL = {
    "opus_packet_has_lbrr": (_int, (_bytes, _int32)),  # since 1.5
    "opus_dred_decoder_create": (ctypes.c_void_p, (_ints,)),  # since 1.5
    "opus_dred_decoder_destroy": (None, (_state,)),
    "opus_dred_alloc": (ctypes.c_void_p, (_ints,)),
    "opus_dred_free": (None, (_state,)),
    "opus_dred_parse": (_int, (_state, _state, _bytes, _int32, _int32, _int32, _ints, _int)),
}


@dataclass(frozen=True)
class Libopus:
    """One loaded libopus.

    Args:
        path: The file it was loaded from.
        origin: Which of the three places it came from.
        version: As the library states it, such as "1.6.1".
        api: The library with the prototypes of its functions set.
    """

    path: str
    origin: Origin
    version: str
    api: ctypes.CDLL = field(repr=False, compare=False)

    def has(self, function: str) -> bool:
        """Whether the library exports a function (which may still answer "unimplemented")."""
        return hasattr(self.api, function)

    def error_text(self, code: int) -> str:
        """What libopus calls one of its error codes, such as "invalid argument"."""
        return self.api.opus_strerror(code).decode("ascii", "replace")

    def check(self, result: int, action: str) -> int:
        """Pass a result on, or raise where it is an error.

        Args:
            result: What a function of libopus returned; negative for an error.
            action: What was asked for, completing the sentence "libopus refuses ...".

        Raises:
            CodecError: The result is an error; it carries libopus's own text and code.
        """
        if result < 0:
            message = f"libopus {self.version} refuses {action}: {self.error_text(result)} (code {result})"
            raise CodecError(message, result)
        return result


def find_libopus() -> Libopus:
    """The libopus that this process uses; searched once for each value of VIVAVOCE_LIBOPUS.

    Raises:
        CodecError: There is none, or the file that VIVAVOCE_LIBOPUS names cannot be used. Nothing else is tried then.
    """
    return _find(os.environ.get(ENVIRONMENT_VARIABLE, ""))


@functools.cache
def _find(named: str) -> Libopus:
    if named:
        return load_libopus(named, origin=ENVIRONMENT_VARIABLE)
    refused = []
    candidates: list[tuple[Origin, str]] = []
    candidates.extend(("PyAV", str(path)) for path in pyav_libopus_files())
    candidates.extend(("system", name) for name in _system_names())
    for origin, path in candidates:
        try:
            return load_libopus(path, origin=origin)
        except CodecError as error:
            if origin == "PyAV":  # a file that exists and fails is worth naming; the system's names are only guesses
                refused.append(str(error))
    raise CodecError(
        "no libopus was found: pip install 'vivavoce[opus]' brings one,"
        f" or set {ENVIRONMENT_VARIABLE} to the path of libopus" + "".join(f" ({reason})" for reason in refused)
    )


def load_libopus(path: str | Path, origin: Origin = "system") -> Libopus:
    """Load one file as libopus.

    Args:
        path: The shared library; a bare name is searched as the system's loader does.
        origin: Where it came from, for reports.

    Raises:
        CodecError: The file cannot be loaded, or it lacks functions that every libopus since 1.3 has.
    """
    named = f"{ENVIRONMENT_VARIABLE}={path}" if origin == ENVIRONMENT_VARIABLE else str(path)
    try:
        with _dependencies_beside(Path(path)):
            api = ctypes.CDLL(str(path))
    except OSError as error:
        raise CodecError(f"{named} cannot be loaded: {error}") from error
    for functions, required in ((REQUIRED, True), (OPTIONAL, False)):
        for name, (result, arguments) in functions.items():
            try:
                function = getattr(api, name)
            except AttributeError:
                if required:
                    raise CodecError(f"{named} is no libopus that this package can use: it lacks {name}") from None
                continue
            function.restype = result
            function.argtypes = arguments
    version = api.opus_get_version_string().decode("ascii", "replace").removeprefix("libopus ")
    return Libopus(path=_path_of(api, str(path)), origin=origin, version=version, api=api)


def pyav_libopus_files() -> list[Path]:
    """The copies of libopus inside PyAV's wheel: none where PyAV was built against the system's libraries."""
    try:
        spec = importlib.util.find_spec("av")
    except (ImportError, ValueError):  # ValueError: somebody put a module without a spec into sys.modules
        return []
    patterns = (
        ("../av.libs", "libopus*.so*"),  # auditwheel on Linux
        (".dylibs", "libopus*.dylib"),  # delocate on macOS
        ("../av.libs", "*opus*.dll"),  # delvewheel on Windows
    )
    folders = [Path(location) for location in (spec.submodule_search_locations or ())] if spec else []
    return [
        file.resolve()
        for folder in folders
        for where, pattern in patterns
        for file in sorted((folder / where).glob(pattern))
    ]


def _system_names() -> list[str]:
    found = ctypes.util.find_library("opus")
    return ([found] if found else []) + [name for name in SYSTEM_NAMES if name != found]


@contextlib.contextmanager
def _dependencies_beside(path: Path) -> Iterator[None]:
    """Let Windows find the libraries that lie beside a wheel's copy; elsewhere they are linked by relative path."""
    if sys.platform == "win32" and path.is_file():
        with os.add_dll_directory(str(path.resolve().parent)):
            yield
    else:
        yield


def _path_of(api: ctypes.CDLL, requested: str) -> str:
    """The file behind a loaded library, which a bare name does not tell."""
    if Path(requested).is_file():
        return str(Path(requested).resolve())

    class Information(ctypes.Structure):  # Dl_info of dladdr(3)
        _fields_ = [("file", ctypes.c_char_p), ("base", ctypes.c_void_p), ("name", ctypes.c_char_p), ("at", _state)]

    try:
        dladdr = ctypes.CDLL(None).dladdr
    except (AttributeError, OSError, TypeError):  # Windows has none
        return requested
    dladdr.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    information = Information()
    known = dladdr(ctypes.cast(api.opus_strerror, ctypes.c_void_p), ctypes.byref(information))
    return os.path.realpath(os.fsdecode(information.file)) if known and information.file else requested
