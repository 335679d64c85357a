"""Neural concealment in the core, as a `Concealer`: predicted features, and a vocoder that goes on from what was heard.

J.-M. Valin et al., "Real-time packet loss concealment with mixed generative and predictive model" (INTERSPEECH 2022),
with FARGAN (arXiv 2405.21069) or LPCNet (ICASSP 2019) for its vocoder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vivavoce import _core
from vivavoce.codec.gap_encoder import GapEncoder
from vivavoce.codec.opus import OpusDecoder
from vivavoce.concealment.concealer import VOCODERS
from vivavoce.concealment.tonality import HISTORY_S, TONAL, tonality
from vivavoce.errors import ModelError
from vivavoce.models import find_model, load_model

PREDICTOR, VOCODER = "plc-base-v1", "fargan-base-v1"
STANDING_TONES = "tones stand still, Opus conceals"


class NeuralConcealment:
    """What was lost is made anew, and the decoder made to believe that it arrived.

    Nothing but a copy is done while nothing is lost. What is heard is what the decoder says to the packets of a
    `GapEncoder`, so that both ends of a gap join as packets do; where there can be none, the decoder conceals for
    itself, and the first 5 ms after the gap go over from what was made. Where tones stand still
    (`concealment.tonality`), and nothing was told of the gap, the decoder conceals alone, and `remark` says so.

    Args:
        sample_rate: Of the samples: 8, 12, 16, 24 or 48 kHz. Above 8 kHz, noise goes on as it was.
        predictor: Name of a model of the package, or path, of the system "plc".
        vocoder: Of a vocoder's system: "fargan" or "lpcnet".

    Raises:
        ModelError: A model is missing, damaged or of another system.
        ValueError: There is no such rate.
    """

    smooths_joins = False
    foresees = True
    listens = True
    remark = ""

    def __init__(self, sample_rate: int, predictor: str | Path = PREDICTOR, vocoder: str | Path = VOCODER) -> None:
        self._models = load_model(find_model(predictor)), load_model(find_model(vocoder))
        for model, name, systems in zip(self._models, (predictor, vocoder), (("plc",), VOCODERS), strict=True):
            if model.core.system not in systems:
                raise ModelError(Path(name), f"must be of the system {' or '.join(systems)}, got {model.core.system}")
        self._core = _core.Concealer(self._models[0].core, self._models[1].core, sample_rate)
        self._sample_rate, self._tonality_samples = sample_rate, round(HISTORY_S * sample_rate)
        self._hop = sample_rate // 100
        self._kept: tuple[tuple[int, int], GapEncoder | None] | None = None  # with TOC and length of a slot
        self._encoder: GapEncoder | None = None  # of the gap that lasts, as long as the decoder follows it
        self._foreseen: tuple[np.ndarray, int] | None = None  # and not yet passed to the core
        self._told: tuple[np.ndarray, int] | None = None  # the same
        self._in_gap = False
        self._left = 0  # samples of the gap that were left to Opus: the core's begins behind them

    @property
    def model_names(self) -> tuple[str, str]:
        """Of predictor and vocoder."""
        predictor, vocoder = self._models
        return predictor.core.name, vocoder.core.name

    def receive(self, samples: np.ndarray) -> np.ndarray:
        """See `Concealer`."""
        joined = self._encoder is not None
        self._end_gap()
        return self._core.receive(np.asarray(samples, np.float32), joined)

    def foresee(self, samples: np.ndarray, gap: int) -> None:
        """See `Concealer`."""
        self._foreseen = np.asarray(samples, np.float32), gap

    def tell(self, features: np.ndarray, gap: int) -> None:
        """See `Concealer`."""
        self._told = np.asarray(features, np.float32), gap

    def conceal(self, decoder: OpusDecoder, count: int) -> np.ndarray:
        """See `Concealer`."""
        begins = not self._in_gap
        if begins:
            self._in_gap = True
            tonal = self._told is None and self._is_tonal()
            self.remark = STANDING_TONES if tonal else ""
            self._encoder = None if tonal else self._gap_encoder(decoder, count)
        if self._told is not None:
            self.remark = ""
        if self.remark:
            self._left += count
            return self._core.receive(decoder.conceal(count))
        self._pass_on()
        encoder = self._encoder
        if encoder is None or encoder.frame_samples != count:
            self._encoder = None
            decoder.conceal(count)
            return self._core.conceal(count)
        delay = encoder.delay_samples
        before = self._core.played(encoder.past_samples) if begins else None
        samples = np.concatenate([self._core.conceal(count), self._core.ahead(delay)])
        if before is not None:
            encoder.begin(np.concatenate([before, samples[:delay]]))
        return decoder.decode(encoder.encode(samples[delay:]))

    def reset(self) -> None:
        """Forget the stream."""
        self._core.reset()
        self._end_gap()

    def _pass_on(self) -> None:
        """What was foreseen and told, to the core."""
        if self._foreseen is not None:
            samples, gap = self._foreseen
            self._core.foresee(samples, gap - self._left)
        if self._told is not None:
            features, gap = self._told[0], self._told[1] - self._left
            if self._left:  # what Opus made of the frames before is no measure of what is told
                over = min(len(features), max(0, -((gap + self._hop // 2) // self._hop)))
                features, gap = features[over:], gap + over * self._hop
            self._core.tell(features, gap)
        self._foreseen = self._told = None

    def _end_gap(self) -> None:
        self._in_gap, self._encoder, self._foreseen, self._told, self.remark = False, None, None, None, ""
        self._left = 0

    def _is_tonal(self) -> bool:
        return tonality(self._core.played(self._tonality_samples), self._sample_rate) >= TONAL

    def _gap_encoder(self, decoder: OpusDecoder, count: int) -> GapEncoder | None:
        toc = decoder.last_toc
        if toc is None:
            return None
        key = (toc & ~0b11, count)  # whatever the framing
        if self._kept is None or self._kept[0] != key:
            self._kept = key, GapEncoder.create(toc, self._sample_rate, count, decoder.library)
        return self._kept[1]
