"""vivavoce: the voice path of a live call.

    Sender, Receiver          the two ends of a call, for any event loop
    simulate_call             both of them over a lossy network, on a virtual clock
    Protection                what a sender adds against loss

Importing this needs NumPy and the core alone; libopus is looked for when the first encoder or decoder is made.
"""

from vivavoce._core import version as _version
from vivavoce.codec.library import Libopus, find_libopus
from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.errors import AudioFileError, CodecError, MissingExtraError, PacketError, VivavoceError
from vivavoce.streaming import Processor
from vivavoce.transport.call import CallResult, CallSettings, simulate_call
from vivavoce.transport.loss import Bernoulli, BurstAge, GilbertElliott, LossModel, RecordedTrace, parse_loss
from vivavoce.transport.network import GammaJitter, JitterModel, JitterTrace, Network
from vivavoce.transport.protection import Protection
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.sender import Sender, SenderStats
from vivavoce.transport.stats import ReceiverStats

__version__ = _version()  # pyproject.toml states it, the core is compiled with it

__all__ = [
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
    "Network",
    "OpusDecoder",
    "OpusEncoder",
    "PacketError",
    "Processor",
    "Protection",
    "Receiver",
    "ReceiverStats",
    "RecordedTrace",
    "Sender",
    "SenderStats",
    "VivavoceError",
    "find_libopus",
    "parse_loss",
    "simulate_call",
]
