"""author: loads a causal language model, tunes it if asked, and writes it as a local preset with model.json."""

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autocomplete.common import config
from autocomplete.common.artifacts import Tuning
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, write_bytes
from autocomplete.common.native_log import quiet
from autocomplete.data.general_text import CALIBRATION_TEXT, EVALUATION_TEXT
from autocomplete.presets.settings import DESCRIPTION, HubSettings, Pin, RandomModelSettings
from autocomplete.train import live
from autocomplete.train.settings import TuningSettings

if TYPE_CHECKING:
    from autocomplete.presets.loading import LoadedModel

OUT = Path("artifacts/author")
TEXT = "text"  # a folder beside OUT, so that another text does not re-run stages that depend on the model alone


@dataclass(frozen=True)
class AuthorSettings:
    """Which model to load (conf/author/*.yaml): either a preset or random weights.

    Attributes:
      preset: a local path, or a name on a hub.
      license: of the model, for model.json.
      add_end_token: whether the preprocessor of a KerasHub preset adds an end token.
      random: a model with random weights.
      revision: the hub's revision of the preset.
      sha256: the SHA-256 over the preset's files.
      hub: how to download.
      text: a file or folder of the user's own text, to tune on.
      tuning: how to tune; None: not at all.
    """

    preset: str | None
    license: str
    add_end_token: bool
    random: RandomModelSettings | None = None
    revision: str | None = None
    sha256: str | None = None
    hub: HubSettings = field(default_factory=HubSettings)
    text: str | None = None
    tuning: TuningSettings | None = None

    def __post_init__(self) -> None:
        """Refuses two models or none, a malformed pin, and tuning without a preset or a text."""
        if (self.preset is None) == (self.random is None):
            raise UserError("author needs one of preset and random, the other null (conf/author/)")
        _ = self.pin
        if self.tuning is not None and (self.preset is None or self.text is None):
            raise UserError("author.tuning needs author.preset and author.text (params.yaml)")

    @property
    def pin(self) -> Pin:
        """The version that the preset must have; raises UserError if it is malformed."""
        return Pin(self.revision, self.sha256)


def run(settings: AuthorSettings) -> None:
    """A preset, or random weights → artifacts/author; text for evaluation and calibration → artifacts/text."""
    with quiet():
        import tensorflow as tf

        from autocomplete.presets import hub, loading, presets

        tf.config.list_physical_devices()  # else it prints into a progress bar that there is no GPU
    origin, local, tuning = presets.Provenance("random weights"), None, None
    if settings.preset is not None:
        # not inside quiet(): a download shows its progress
        local = hub.find(settings.preset, settings.pin, settings.hub)
        origin = presets.provenance(settings.preset, local, settings.pin)
    with replacing(OUT) as folder:
        if local is not None and settings.tuning is not None:  # not inside quiet() either
            tuning = _tune(settings, local.path, origin.source, folder)
            origin = dataclasses.replace(origin, source=f"{origin.source}, tuned on own text")
            local = hub.LocalPreset(folder)
        loaded = _random_model(settings) if local is None else loading.load(local.path)
        if loaded.model.preprocessor is not None:
            loaded.model.preprocessor.add_end_token = settings.add_end_token
        presets.save(loaded.model, folder)
        presets.write_tokenizer(loaded.tokenizer, folder)
        description = presets.describe(loaded, origin, settings.license, tuning)
        description.write(folder / DESCRIPTION)
        with replacing(OUT.with_name(TEXT)) as texts:
            write_texts(local.path if local is not None else None, texts)
        for name in (EVALUATION_TEXT, CALIBRATION_TEXT):
            (folder / name).unlink(missing_ok=True)  # written by tuning
    print(f"{OUT}: {description}")


def _tune(settings: AuthorSettings, preset: Path, source: str, folder: Path) -> Tuning:
    """Writes the tuned preset to a folder; returns how it was tuned."""
    with quiet():
        from autocomplete.train import finetune
    assert settings.tuning is not None
    with live.tuning_progress(finetune.WORK / "live", settings.tuning.training.steps) as callbacks:
        lineage = finetune.run(preset, Path(str(settings.text)), settings.tuning, folder, callbacks)
    return lineage.model_copy(update={"preset": source})


def _random_model(settings: AuthorSettings) -> "LoadedModel":
    from autocomplete.presets import loading, random_model

    assert settings.random is not None
    with tempfile.TemporaryDirectory() as scratch, quiet():
        return loading.from_keras_model(random_model.build(settings.random, Path(scratch)))


def write_texts(preset: Path | None, folder: Path) -> None:
    """Writes evaluation and calibration text: the preset's own, or WikiText-2, on which no model here is trained."""
    from autocomplete.data import general_text

    for name in (EVALUATION_TEXT, CALIBRATION_TEXT):
        text_of_preset = preset / name if preset is not None and preset.is_dir() else None
        if text_of_preset is not None and text_of_preset.is_file():
            shutil.copyfile(text_of_preset, folder / name)
        else:
            write_bytes(folder / name, general_text.jsonl(name).encode())


if __name__ == "__main__":
    config.main("author", AuthorSettings, run)
