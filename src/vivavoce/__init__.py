"""vivavoce: the voice path of a live call.

    the two ends of a call, for any event loop     Sender, Receiver, Protection, their stats, Slot, Concealer
    both of them on a virtual clock                simulate_call, CallSettings, CallResult
    the network between them                       Network, loss and jitter models, parse_loss, read_trace, read_jitter
    noise out of the microphone                    Denoiser, denoise
    Opus                                           OpusEncoder, OpusDecoder, find_libopus
    a relay that is short of rate                  shortened_packet
    what a session description says of audio       AudioDescription
    what runs in a call, behind any kind of block  Processor, Reblocked

Importing this needs NumPy and the core alone; libopus is looked for when the first encoder or decoder is made.
"""

from vivavoce._core import version as _version
from vivavoce.codec.library import Libopus, find_libopus
from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.concealment.concealer import Concealer
from vivavoce.enhancement.denoiser import Denoiser, denoise
from vivavoce.errors import AudioFileError, CodecError, MissingExtraError, ModelError, PacketError, VivavoceError
from vivavoce.redundancy.dred import shortened_packet
from vivavoce.streaming import Processor, Reblocked
from vivavoce.transport.call import CallResult, CallSettings, simulate_call
from vivavoce.transport.loss import (
    BURST_MODELS,
    Bernoulli,
    BurstAge,
    GilbertElliott,
    LossModel,
    RecordedTrace,
    parse_loss,
    read_trace,
)
from vivavoce.transport.network import GammaJitter, JitterModel, JitterTrace, Network, read_jitter
from vivavoce.transport.player import Slot
from vivavoce.transport.protection import Protection
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.sdp import AudioDescription
from vivavoce.transport.sender import Sender, SenderStats
from vivavoce.transport.stats import ReceiverStats

__version__ = _version()  # pyproject.toml states it, the core is compiled with it

__all__ = [
    "BURST_MODELS",
    "AudioDescription",
    "Concealer",
    "Denoiser",
    "Slot",
    "read_jitter",
    "read_trace",
    "AudioFileError",
    "Bernoulli",
    "BurstAge",
    "CallResult",
    "CallSettings",
    "CodecError",
    "GammaJitter",
    "GilbertElliott",
    "JitterModel",
    "JitterTrace",
    "Libopus",
    "LossModel",
    "MissingExtraError",
    "ModelError",
    "Network",
    "OpusDecoder",
    "OpusEncoder",
    "PacketError",
    "Processor",
    "Protection",
    "Reblocked",
    "Receiver",
    "ReceiverStats",
    "RecordedTrace",
    "Sender",
    "SenderStats",
    "VivavoceError",
    "denoise",
    "find_libopus",
    "parse_loss",
    "shortened_packet",
    "simulate_call",
]
