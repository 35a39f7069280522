"""author: loads a KerasHub causal language model, tunes it where asked, writes it as a preset with a description."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import config, live
from stages.errors import UserError
from stages.files import replacing, write_json
from stages.lm.dimensions import Dimensions
from stages.lm.schedule import TuningSettings
from stages.quiet import quiet

if TYPE_CHECKING:
    import keras_hub

OUT = Path("artifacts/author")


@dataclass(frozen=True)
class AuthorSettings:
    """Which model (conf/author/*.yaml): a preset, tuned on `text` with `tuning`, or random weights."""

    preset: str | None
    license: str
    add_end_token: bool
    random: Dimensions | None = None
    text: str | None = None
    tuning: TuningSettings | None = None

    def __post_init__(self) -> None:
        """Refuses two models, and none."""
        if (self.preset is None) == (self.random is None):
            raise UserError("author needs one of preset and random, the other null (conf/author/)")
        if self.tuning is not None and (self.preset is None or self.text is None):
            raise UserError("author.tuning needs author.preset and author.text (params.yaml)")


def run(settings: AuthorSettings) -> None:
    """Preset anywhere, or random weights → artifacts/author."""
    with quiet():
        from stages.lm import presets
    with replacing(OUT) as folder:
        # not quiet: it shows how it goes on
        tuned = {} if settings.tuning is None else {"tuning": _tune(settings, settings.tuning, folder)}
        with quiet():
            model = presets.load(str(folder)) if tuned else _model(settings)
            model.preprocessor.add_end_token = settings.add_end_token
            presets.save(model, folder)
            source = f"{settings.preset}, tuned on own text" if tuned else settings.preset or "random weights"
            described = presets.describe(model, source, settings.license) | tuned
            write_json(folder / presets.DESCRIPTION, described)
    print(f"{OUT}: {described}")


def _tune(settings: AuthorSettings, tuning: TuningSettings, folder: Path) -> dict[str, Any]:
    """The preset, tuned, in a folder; returns what was done, for its description."""
    with quiet():
        from stages.lm import finetune
    with live.tuning_progress(finetune.WORK / "live", tuning.training.steps) as watch:
        return finetune.run(str(settings.preset), Path(str(settings.text)), tuning, folder, watch)


def _model(settings: AuthorSettings) -> "keras_hub.models.CausalLM":
    from stages.lm import presets, random_model

    if settings.random is None:
        return presets.load(str(settings.preset))
    with tempfile.TemporaryDirectory() as scratch:
        return random_model.build(settings.random, Path(scratch))


if __name__ == "__main__":
    config.main("author", AuthorSettings, run)
