"""
The real-time core of vivavoce, as thin as a binding can be. Arrays must have the exact type that is stated.
"""

import numpy
import numpy.typing

def abi_version() -> int:
    """VV_ABI_VERSION of vivavoce.h."""

def version() -> str:
    """Version of the package that the core belongs to."""

class RealFft:
    """
    Fourier transform of real samples; read-only once made, so that threads may share it.

    Args:
        size: Samples; even, from 2 to 4096, with no prime factor but 2, 3 and 5.

    Raises:
        ValueError: Any other size.
    """

    def __init__(self, size: int) -> None: ...

    @property
    def size(self) -> int:
        """Samples of a transform."""

    def forward(self, samples: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.complex64]:
        """
        Spectrum of real samples, as `numpy.fft.rfft` has it: not scaled.

        Args:
            samples: Shape (size,), float32.

        Returns:
            Bins 0 to size/2, shape (size/2 + 1,), complex64.

        Raises:
            TypeError: `samples` is not float32.
            ValueError: `samples` has another shape.
        """

    def inverse(self, spectrum: numpy.typing.NDArray[numpy.complex64]) -> numpy.typing.NDArray[numpy.float32]:
        """
        Samples of a spectrum: the inverse of `forward`, scaled by 1/size.

        Args:
            spectrum: Shape (size/2 + 1,), complex64; imaginary parts of the first and the last bin are ignored.

        Returns:
            Shape (size,), float32.

        Raises:
            TypeError: `spectrum` is not complex64.
            ValueError: `spectrum` has another shape.
        """

def vorbis_window(size: int) -> numpy.typing.NDArray[numpy.float32]:
    """The core's `vivavoce.signal.vorbis_window`, shape (size,)."""

def hann_window(size: int) -> numpy.typing.NDArray[numpy.float32]:
    """The core's `vivavoce.signal.hann_window`, shape (size,)."""

def exp(x: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]:
    """The core's own exponential, shape (count,)."""

def log(x: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]:
    """The core's own natural logarithm, shape (count,)."""

def tanh(x: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]:
    """The core's own hyperbolic tangent, shape (count,)."""

def float_mode() -> int:
    """
    Floating-point modes of this thread: MXCSR on x86, FPCR on arm64, 0 elsewhere. For tests.
    """

def set_float_mode(mode: int) -> None:
    """
    Sets what `float_mode` reads, for this thread. For tests that show that calls restore it.
    """

def real_time_float_mode() -> int:
    """
    What the core sets during a call; 0 on a processor whose modes it does not know. For tests.
    """
