"""The memory of one libopus encoder or decoder.

libopus can place a state in memory that its user provides (`opus_encoder_init`). Here that is a ctypes buffer, which
ends with the Python object that holds it: nothing has to be destroyed, and nothing can be destroyed twice.
"""

from __future__ import annotations

import ctypes
from typing import Literal

from vivavoce.codec.library import Libopus

# requests of opus_defines.h
_RESET_STATE = 4028


class CodecState:
    """An initialised encoder or decoder, and its settings.

    Args:
        library: The libopus that the state belongs to.
        kind: What it is.
        sample_rate: Of the samples that go in or come out.
        channels: 1 or 2.
        application: Of an encoder, as OPUS_APPLICATION_ number.

    Raises:
        CodecError: libopus refuses the arguments.
    """

    def __init__(
        self,
        library: Libopus,
        kind: Literal["encoder", "decoder"],
        sample_rate: int,
        channels: int,
        application: int | None = None,
    ) -> None:
        self.library = library
        size_of = getattr(library.api, f"opus_{kind}_get_size")
        initialise = getattr(library.api, f"opus_{kind}_init")
        self._control = getattr(library.api, f"opus_{kind}_ctl")
        self.memory = ctypes.create_string_buffer(library.check(size_of(channels), f"{channels} channels"))
        further = () if application is None else (application,)
        result = initialise(self.memory, sample_rate, channels, *further)
        library.check(result, f"an {kind} of {channels} channels at {sample_rate} Hz")

    def set(self, request: int, value: int, name: str) -> None:
        """Change a setting.

        Args:
            request: An OPUS_SET_ number.
            value: The setting's new value.
            name: What the error calls the setting.

        Raises:
            CodecError: libopus refuses the value, or does not know the setting.
        """
        result = self._control(self.memory, request, ctypes.c_int32(value))
        self.library.check(result, f"{name} = {value}")

    def get(self, request: int, name: str) -> int:
        """Read a setting by its OPUS_GET_ number."""
        value = ctypes.c_int32()
        self.library.check(self._control(self.memory, request, ctypes.byref(value)), f"to tell {name}")
        return value.value

    def reset(self) -> None:
        """Forget the signal; the settings stay."""
        self.library.check(self._control(self.memory, _RESET_STATE), "a reset")
