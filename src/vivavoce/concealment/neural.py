"""Neural concealment in the core, as a `Concealer`: predicted features, and a vocoder that goes on from what was heard.

J.-M. Valin et al., "Real-time packet loss concealment with mixed generative and predictive model" (INTERSPEECH 2022),
with FARGAN (arXiv 2405.21069) for its vocoder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vivavoce import _core
from vivavoce.errors import ModelError
from vivavoce.models import find_model, load_model

PREDICTOR, VOCODER = "plc-base-v1", "fargan-base-v1"


class NeuralConcealment:
    """What was lost is made anew. Nothing but a copy is done while nothing is lost.

    Args:
        sample_rate: Of the samples: 8, 12, 16, 24 or 48 kHz. Above 8 kHz, noise goes on as it was.
        predictor: Name of a model of the package, or path, of the system "plc".
        vocoder: Of the system "fargan".

    Raises:
        ModelError: A model is missing, damaged or of another system.
        ValueError: There is no such rate.
    """

    smooths_joins = True

    def __init__(self, sample_rate: int, predictor: str | Path = PREDICTOR, vocoder: str | Path = VOCODER) -> None:
        self._models = load_model(find_model(predictor)), load_model(find_model(vocoder))
        for model, name, system in zip(self._models, (predictor, vocoder), ("plc", "fargan"), strict=True):
            if model.core.system != system:
                raise ModelError(Path(name), f"must be of the system {system}, got {model.core.system}")
        self._core = _core.Concealer(self._models[0].core, self._models[1].core, sample_rate)

    @property
    def model_names(self) -> tuple[str, str]:
        """Of predictor and vocoder."""
        predictor, vocoder = self._models
        return predictor.core.name, vocoder.core.name

    def receive(self, samples: np.ndarray) -> np.ndarray:
        """See `Concealer`: the first 5 ms after a gap go over from what was made."""
        return self._core.receive(np.asarray(samples, np.float32))

    def conceal(self, decoder_output: np.ndarray) -> np.ndarray:
        """See `Concealer`; of the decoder's concealment only the length counts."""
        return self._core.conceal(len(decoder_output))

    def reset(self) -> None:
        """Forget the stream."""
        self._core.reset()
