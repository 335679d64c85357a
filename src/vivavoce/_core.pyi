"""
The real-time core of vivavoce, as thin as a binding can be. Arrays must have the exact type that is stated.
"""

from collections.abc import Sequence
import os

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

def percepnet_analyse(samples: numpy.typing.NDArray[numpy.float32], frames: int, lookahead: int = 2) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.int32]]:
    """
    The core's `vivavoce.enhancement.features.analyse_noisy`.

    Args:
        samples: Shape (samples,), float32, 48 kHz; silent outside.
        frames: Number of frames; frame l is centred on sample 480 l.
        lookahead: Frames of look-ahead, 0 to 2.

    Returns:
        What the network sees when frame l is the newest, shape (frames, 70), and the pitch period of frame l in samples,
        shape (frames,).

    Raises:
        TypeError: `samples` is not float32.
        ValueError: `samples` has another shape, or a number is out of range.
    """

def percepnet_targets(noisy: numpy.typing.NDArray[numpy.float32], clean: numpy.typing.NDArray[numpy.float32], frames: int, lookahead: int = 2) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32]]:
    """
    What the network sees of noisy speech and is to find in it: the core's `vivavoce.enhancement.gains`.

    Args:
        noisy: Shape (samples,), float32, 48 kHz; silent outside.
        clean: The speech in it, likewise; its comb filter has the pitch of `noisy`.
        frames: Number of frames; frame l is centred on sample 480 l.
        lookahead: Frames of look-ahead, 0 to 2.

    Returns:
        Features as of `percepnet_analyse`, shape (frames, 70); and, of frame l and each of shape (frames, 34), gains
        |X| / |Y|, strengths of the comb filter, energies of the noisy and of the clean bands, attenuations where no
        strength suffices.

    Raises:
        TypeError: An array is not float32.
        ValueError: An array has another shape, or a number is out of range.
    """

class Denoiser:
    """
    One stream of mono speech at 48 kHz that noise is taken out of, for one thread at a time.

    Settings and `voice_probability` serve any thread.

    Args:
        model: Shared by all streams that use it.

    Raises:
        ValueError: The model is not of 48 kHz, or looks ahead by more than 2 frames.
    """

    def __init__(self, model: Model) -> None: ...

    @property
    def delay_samples(self) -> int:
        """Of the output against the input."""

    @property
    def attenuation_limit_db(self) -> float:
        """
        At most so much of the sound is taken away, in dB; infinity is no limit.
        """

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, arg: float, /) -> None: ...

    @property
    def enabled(self) -> bool:
        """
        Otherwise the input comes back, at the same delay. Changes fade in over one frame.
        """

    @enabled.setter
    def enabled(self, arg: bool, /) -> None: ...

    @property
    def voice_probability(self) -> float:
        """Of the newest frame; NaN before the first."""

    def process(self, samples: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]:
        """
        Frame after frame, without the GIL.

        Args:
            samples: Shape (480 frames,), float32.

        Returns:
            As many samples, `delay_samples` late.

        Raises:
            TypeError: `samples` is not float32.
            ValueError: `samples` has another shape.
            RuntimeError: Another thread is in a call of this stream.
        """

    def report(self) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32], float, float, float]:
        """
        Of the newest frame: gains and strengths, shape (34,) each, pitch period in samples (0 before the look-ahead is filled), pitch correlation, probability of voice.
        """

    def reset(self) -> None:
        """Back to the state of a new stream; settings stay."""

    def copy(self) -> Denoiser:
        """A stream that goes on as this one."""

def int8_paths() -> list[str]:
    """
    Instructions that this processor has for int8 products, slowest first; all give the same bits.
    """

class Model:
    """
    A trained network in a model image; read-only, so that any number of streams share it.

    Args:
        path: A .vvm file, which is mapped into memory and must not be changed meanwhile.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no model image of this version, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None: ...

    @staticmethod
    def from_bytes(image: bytes) -> Model:
        """
        The model of an image in memory.

        Args:
            image: What the `image.py` of its system makes, such as `vivavoce.vocoder.fargan_image.fargan_image`.

        Raises:
            ValueError: It is no model image of this version, or damaged.
        """

    @property
    def name(self) -> str:
        """Name such as "percepnet-large-v1"."""

    @property
    def system(self) -> str:
        """"percepnet", "fargan", "lpcnet" or "plc"."""

    @property
    def sample_rate(self) -> int:
        """Of the signals that it was made for, in Hz."""

    @property
    def lookahead_frames(self) -> int:
        """Frames of the future that it hears before it judges one."""

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Widths of dense layer, convolutions, GRUs, GRU of the strengths."""

class PercepNetNetwork:
    """
    The network alone, as one stream; for one thread at a time.

    Args:
        model: The layers.
        path: One of `int8_paths()`, for tests; None is the fastest.

    Raises:
        ValueError: This processor has no such path.
    """

    def __init__(self, model: Model, path: str | None = None) -> None: ...

    @property
    def path(self) -> str:
        """The instructions that it uses."""

    def step(self, features: numpy.typing.NDArray[numpy.float32]) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32], float]:
        """
        One frame.

        Args:
            features: Shape (70,), float32.

        Returns:
            Gains and strengths, shape (34,) each, and the probability of voice; all in [0, 1].

        Raises:
            TypeError: `features` is not float32.
            ValueError: `features` has another shape.
        """

    def run(self, features: numpy.typing.NDArray[numpy.float32]) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32]]:
        """
        Frame after frame, without the GIL.

        Args:
            features: Shape (frames, 70), float32.

        Returns:
            Gains and strengths, shape (frames, 34) each, and probabilities of voice, shape (frames,).

        Raises:
            TypeError: `features` is not float32.
            ValueError: `features` has another shape.
        """

    def reset(self) -> None:
        """Back to the beginning."""

    def copy(self) -> PercepNetNetwork:
        """A stream that goes on as this one would."""

class VocoderNetwork:
    """
    A vocoder alone, as one stream at 16 kHz; for one thread at a time.

    Frame k of the samples lies between the centres of features k and k + 1.

    Args:
        model: The layers.
        path: One of `int8_paths()`, for tests; None is the fastest.

    Raises:
        ValueError: The model is another system's, or this processor has no such path.
    """

    def __init__(self, model: Model, path: str | None = None) -> None: ...

    @property
    def path(self) -> str:
        """The instructions that it uses."""

    @property
    def delay(self) -> int:
        """Frames by which what is made comes out later."""

    def begin(self, before: numpy.typing.NDArray[numpy.float32]) -> None:
        """
        Forget the stream.

        Args:
            before: Samples before the first that is heard, followed or made, shape (17,), float32.

        Raises:
            TypeError: `before` is not float32.
            ValueError: `before` has another shape.
        """

    def feed(self, features: numpy.typing.NDArray[numpy.float32]) -> None:
        """
        Hear features up to the beginning of the first frame, and make nothing.

        Args:
            features: Shape (frames, 20), float32.

        Raises:
            TypeError: `features` is not float32.
            ValueError: `features` has another shape.
        """

    def hear(self, features: numpy.typing.NDArray[numpy.float32], samples: numpy.typing.NDArray[numpy.float32]) -> None:
        """
        Remember samples, without the GIL. Two frames of them are to precede what is followed or made.

        Args:
            features: At the end of each frame, shape (frames, 20), float32.
            samples: Shape (160 * frames,), float32.

        Raises:
            TypeError: An array is not float32.
            ValueError: An array has another shape.
        """

    def follow(self, features: numpy.typing.NDArray[numpy.float32], samples: numpy.typing.NDArray[numpy.float32]) -> None:
        """
        Go on as if these samples had been made, without the GIL.

        Args:
            features: At the end of each frame, shape (frames, 20), float32.
            samples: Shape (160 * frames,), float32.

        Raises:
            TypeError: An array is not float32.
            ValueError: An array has another shape.
        """

    def synthesise(self, features: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]:
        """
        Make samples, without the GIL.

        Args:
            features: At the end of each frame, shape (frames, 20), float32.

        Returns:
            Those of `delay` frames before, shape (160 * frames,), float32 in [-1, 1].

        Raises:
            TypeError: `features` is not float32.
            ValueError: `features` has another shape.
        """

    def reset(self) -> None:
        """Back to the beginning, after silence."""

    def copy(self) -> VocoderNetwork:
        """A stream that goes on as this one would."""

class PredictorNetwork:
    """
    The predictor of lost features alone, as one stream; for one thread at a time.

    Args:
        model: The layers.
        path: One of `int8_paths()`, for tests; None is the fastest.

    Raises:
        ValueError: The model is another system's, or this processor has no such path.
    """

    def __init__(self, model: Model, path: str | None = None) -> None: ...

    def run(self, inputs: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]:
        """
        Frame after frame, without the GIL.

        Args:
            inputs: Of `vivavoce.concealment.features.predictor_inputs`, shape (frames, 78), float32.

        Returns:
            Features, shape (frames, 20).

        Raises:
            TypeError: `inputs` is not float32.
            ValueError: `inputs` has another shape.
        """

    def reset(self) -> None:
        """Back to the beginning."""

    def copy(self) -> PredictorNetwork:
        """A stream that goes on as this one would."""

class DredEncoder:
    """
    Speech at 16 kHz to payloads that describe its past; for one thread at a time.

    A step is two hops of 160 samples, 20 ms; a chunk of a payload is two steps. What a step costs does not depend on what
    is sent.

    Args:
        model: An RDO-VAE.

    Raises:
        ValueError: The model is another system's.
    """

    def __init__(self, model: Model) -> None: ...

    @property
    def hops(self) -> int:
        """Whole hops since the beginning."""

    def push(self, samples: numpy.typing.NDArray[numpy.float32]) -> None:
        """
        Hear samples, without the GIL.

        Args:
            samples: Any number, shape (n,), float32 in [-1, 1).

        Raises:
            TypeError: `samples` is not float32.
            ValueError: It has not one dimension.
        """

    def loudness(self, age: int = 0) -> float:
        """
        First cepstral coefficient of the louder frame of a step, so many steps before the newest whole one.
        """

    def write(self, age: int, offset: int, first: int, slope: int, last: int, chunks: int) -> bytes:
        """
        A payload, as `vivavoce.redundancy.payload` has them.

        Args:
            age: Steps between the end of its newest chunk and the newest whole step.
            offset: From the end of its newest chunk to the packet's RTP timestamp, in units of 2.5 ms, from -64 to 191.
            first: Level of the newest chunk, from 0 to 15.
            slope: Index into `SLOPES`.
            last: The coarsest level.
            chunks: How many, at most 26; there are fewer where not so many were heard.

        Raises:
            ValueError: A number is out of range, or nothing was heard.
        """

    def reset(self) -> None:
        """Back to the beginning."""

    def copy(self) -> DredEncoder:
        """An encoder that goes on as this one would."""

class DredReader:
    """
    What a payload says, decoded as far as somebody asks; for one thread at a time.

    Args:
        model: The RDO-VAE that made it.
        data: The payload.

    Raises:
        ValueError: It is none, of another version or model, or damaged.
    """

    def __init__(self, model: Model, data: bytes) -> None: ...

    @property
    def offset(self) -> int:
        """
        From the end of the newest chunk to the packet's RTP timestamp, in units of 2.5 ms.
        """

    @property
    def chunks(self) -> int:
        """How many chunks of 40 ms it has."""

    def level(self, chunk: int) -> int:
        """Of the quantiser; 0 is the newest chunk."""

    def features(self, chunk: int) -> numpy.typing.NDArray[numpy.float32]:
        """
        Features of a chunk, 0 the newest: shape (4, 20), forward in time. Those after it are decoded too.
        """

    def shortened(self, chunks: int) -> bytes:
        """
        The payload with no more than so many chunks, the newest, as a relay may send it on.
        """

class RdoVaeNetwork:
    """
    The networks of an RDO-VAE alone, the encoder as one stream; for one thread at a time.

    Args:
        model: The layers.
        path: One of `int8_paths()`, for tests; None is the fastest.

    Raises:
        ValueError: The model is another system's, or this processor has no such path.
    """

    def __init__(self, model: Model, path: str | None = None) -> None: ...

    def encode(self, features: numpy.typing.NDArray[numpy.float32]) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32]]:
        """
        Step after step, without the GIL.

        Args:
            features: Two frames a step, shape (steps, 40), float32.

        Returns:
            Latent vectors, shape (steps, latent), and states, shape (steps, state), not rounded.

        Raises:
            TypeError: `features` is not float32.
            ValueError: `features` has another shape.
        """

    def round_latents(self, latents: numpy.typing.NDArray[numpy.float32], level: int) -> numpy.typing.NDArray[numpy.int8]:
        """
        What is sent of latent vectors, shape (steps, latent), at a level from 0 to 15.
        """

    def round_states(self, states: numpy.typing.NDArray[numpy.float32], level: int) -> numpy.typing.NDArray[numpy.int8]:
        """What is sent of states, shape (steps, state), at a level from 0 to 15."""

    def decode(self, state: numpy.typing.NDArray[numpy.int8], latents: numpy.typing.NDArray[numpy.int8], levels: Sequence[int]) -> numpy.typing.NDArray[numpy.float32]:
        """
        Go back in time, without the GIL.

        Args:
            state: What was sent of it at the newest chunk, shape (1, state), int8.
            latents: The newest first, shape (chunks, latent), int8.
            levels: Of each chunk; that of the newest is the state's too.

        Returns:
            Features of the chunks, the newest first, shape (chunks, 80): four frames each, forward in time.

        Raises:
            ValueError: A shape or a level is not what it must be.
        """

    def reset(self) -> None:
        """Back to the beginning."""

    def copy(self) -> RdoVaeNetwork:
        """A stream that goes on as this one would."""

class Resampler:
    """
    One stream of mono samples on its way to another rate, for one thread at a time.

    Linear phase; of half the lower rate, 0.84 pass within 0.1 dB; images and aliases beyond 1 are 65 dB down. A tick is
    1 / lcm(from_rate, to_rate) seconds: an input sample lasts to_rate / gcd of them and an output sample from_rate / gcd.

    Args:
        from_rate: Hz.
        to_rate: Hz; to_rate / from_rate is a ratio of whole numbers up to 640. Equal rates pass samples on.
        extra_ticks: Added to the shortest delay, which is 24 samples of the lower rate; 0 to 640.

    Raises:
        ValueError: Any other rate, ratio or delay.
    """

    def __init__(self, from_rate: int, to_rate: int, extra_ticks: int = 0) -> None: ...

    @property
    def from_rate(self) -> int:
        """Hz."""

    @property
    def to_rate(self) -> int:
        """Hz."""

    @property
    def delay_ticks(self) -> int:
        """The exact delay of the output against the input."""

    def process(self, samples: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]:
        """
        The samples that are due: after n in all there were ceil(n to_rate / from_rate), whatever the blocks.

        Args:
            samples: Shape (samples,), float32, any number of them. NaN, infinity and what is beyond 1e30 count as 0.

        Returns:
            Shape (due,), float32.

        Raises:
            TypeError: `samples` is not float32.
            ValueError: `samples` has another shape.
            RuntimeError: Another thread is in a call of this stream.
        """

    def reset(self) -> None:
        """Back to the state of a new stream."""

    def copy(self) -> Resampler:
        """A stream that goes on as this one would."""

    def __deepcopy__(self, memo: dict) -> Resampler:
        """The same, for what holds a stream."""

def speech_features(samples: numpy.typing.NDArray[numpy.float32], frames: int) -> numpy.typing.NDArray[numpy.float32]:
    """
    Cepstrum, pitch and voicing of every 10 ms, as `vivavoce.signal.cepstrum` has them; the GIL is released.

    Args:
        samples: Shape (samples,), float32 in [-1, 1), 16 kHz; silent outside.
        frames: How many.

    Returns:
        Shape (frames, 20).

    Raises:
        TypeError: `samples` is not float32.
        ValueError: `samples` has another shape.
    """

def burg_features(samples: numpy.typing.NDArray[numpy.float32], frames: int) -> numpy.typing.NDArray[numpy.float32]:
    """
    Burg cepstra of every 10 ms, as `vivavoce.signal.burg` has them; the GIL is released.

    Args:
        samples: Shape (samples,), float32 in [-1, 1), 16 kHz; silent outside.
        frames: How many.

    Returns:
        Shape (frames, 36).

    Raises:
        TypeError: `samples` is not float32.
        ValueError: `samples` has another shape.
    """

def lpc_of_cepstrum(cepstra: numpy.typing.NDArray[numpy.float32]) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32]]:
    """
    Linear prediction, as `vivavoce.signal.cepstrum` has it; the GIL is released.

    Args:
        cepstra: Shape (frames, 18), float32.

    Returns:
        Predictions, shape (frames, 16), and levels of what they leave, shape (frames,).

    Raises:
        TypeError: `cepstra` is not float32.
        ValueError: `cepstra` has another shape.
    """

class Concealer:
    """
    Neural packet-loss concealment of one stream; for one thread at a time.

    Args:
        predictor: A model of the system "plc".
        vocoder: A model of the system "fargan" or "lpcnet".
        sample_rate: 8, 12, 16, 24 or 48 kHz. Above 8 kHz, noise with the spectrum of what was there is put in.

    Raises:
        ValueError: A model is of another system, or the rate is another.
    """

    def __init__(self, predictor: Model, vocoder: Model, sample_rate: int = 16000) -> None: ...

    def receive(self, samples: numpy.typing.NDArray[numpy.float32], joined: bool = False) -> numpy.typing.NDArray[numpy.float32]:
        """
        Take samples that arrived, without the GIL.

        Args:
            samples: Shape (samples,), float32 in [-1, 1). What is beyond +-4 is limited, NaN and infinity count as 0.
            joined: They go on from what was made, if there was a gap before them.

        Returns:
            What is to be played for them: after a gap that they are not joined to, the first 5 ms go over from what was made.

        Raises:
            TypeError: `samples` is not float32.
            ValueError: `samples` has another shape.
        """

    def conceal(self, count: int) -> numpy.typing.NDArray[numpy.float32]:
        """
        Make samples where none arrived, without the GIL.

        Args:
            count: How many.

        Returns:
            Shape (count,), float32 in [-1, 1].
        """

    def foresee(self, samples: numpy.typing.NDArray[numpy.float32], gap: int) -> None:
        """
        Tell what follows the gap that is next, or that lasts, so that what is made goes over to it.

        Args:
            samples: Shape (samples,), float32; from 20 ms on, and of them the first 60.
            gap: Samples from the beginning of the gap to the first of them.

        Raises:
            TypeError: `samples` is not float32.
            ValueError: `samples` has another shape, or `gap` is negative.
        """

    def tell(self, features: numpy.typing.NDArray[numpy.float32], gap: int) -> None:
        """
        Tell features of the gap that is next, or that lasts: what is made has them.

        Args:
            features: Of frames of 10 ms, shape (frames, 20), float32; those of the past are of no use.
            gap: Samples from the beginning of the gap to the centre of the first of them.

        Raises:
            TypeError: `features` is not float32.
            ValueError: `features` has another shape.
        """

    def ahead(self, count: int) -> numpy.typing.NDArray[numpy.float32]:
        """
        What `conceal` would make next in the gap that it began, without going on and without the GIL.

        Args:
            count: Up to 480.

        Returns:
            Shape (count,), float32; between gaps silence.
        """

    def played(self, count: int) -> numpy.typing.NDArray[numpy.float32]:
        """
        The last samples that were played.

        Args:
            count: Up to 260 ms of them.

        Returns:
            Shape (count,), float32, oldest first.
        """

    def reset(self) -> None:
        """Back to the beginning, after silence."""

    def copy(self) -> Concealer:
        """A stream that goes on as this one would."""
