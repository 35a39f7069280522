"""author: loads a KerasHub causal language model and writes it as a local preset with a description."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stages import config
from stages.errors import UserError
from stages.files import replacing, write_json
from stages.lm.dimensions import Dimensions
from stages.quiet import quiet

if TYPE_CHECKING:
    import keras_hub

OUT = Path("artifacts/author")


@dataclass(frozen=True)
class AuthorSettings:
    """Which model (conf/author/*.yaml): a preset, or random weights."""

    preset: str | None
    license: str
    add_end_token: bool
    random: Dimensions | None = None

    def __post_init__(self) -> None:
        """Refuses two models, and none."""
        if (self.preset is None) == (self.random is None):
            raise UserError("author needs one of preset and random, the other null (conf/author/)")


def run(settings: AuthorSettings) -> None:
    """Preset anywhere, or random weights → artifacts/author."""
    with quiet():
        from stages.lm import presets
    with quiet(), replacing(OUT) as folder:
        model = _model(settings)
        model.preprocessor.add_end_token = settings.add_end_token
        presets.save(model, folder)
        described = presets.describe(model, settings.preset or "random weights", settings.license)
        write_json(folder / presets.DESCRIPTION, described)
    print(f"{OUT}: {described}")


def _model(settings: AuthorSettings) -> "keras_hub.models.CausalLM":
    from stages.lm import presets, random_model

    if settings.random is None:
        return presets.load(str(settings.preset))
    with tempfile.TemporaryDirectory() as scratch:
        return random_model.build(settings.random, Path(scratch))


if __name__ == "__main__":
    config.main("author", AuthorSettings, run)
