"""What the package needs to know of a model family."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autocomplete.model import checkpoint, folding
from autocomplete.model.checkpoint import WeightSources
from autocomplete.model.config import DecoderConfig
from autocomplete.model.decoder import Weights
from autocomplete.model.folding import OptionalWeights


@dataclass(frozen=True)
class Family:
    """How the presets of a model family are read.

    Attributes:
      read_config: (preset) → the decoder's configuration.
      optional_weights: (preset, rows wanted of a position table) → the weights that not every family has.
      sources: where KerasHub keeps the weights.
    """

    read_config: Callable[[Path], DecoderConfig]
    optional_weights: Callable[[Path, int], OptionalWeights]
    sources: WeightSources

    def read_weights(self, preset: Path, num_positions: int) -> Weights:
        """The decoder's weights of a preset; of a learned position table, the first `num_positions` rows."""
        optional = self.optional_weights(preset, num_positions)
        return folding.decoder_weights(
            self.read_config(preset), optional, checkpoint.weight_reader(preset, self.sources)
        )
