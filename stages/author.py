"""author: loads a causal language model, tunes it where asked, writes it as a local KerasHub preset, described."""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocomplete.common import config
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, write_bytes, write_json
from autocomplete.common.native_log import quiet
from autocomplete.data.general_text import CALIBRATION_TEXT, EVALUATION_TEXT
from autocomplete.presets.settings import DESCRIPTION, HubSettings, Pin, RandomModelSettings
from autocomplete.train import live
from autocomplete.train.settings import TuningSettings

if TYPE_CHECKING:
    from autocomplete.presets.loading import LoadedModel

OUT = Path("artifacts/author")
TEXT = "text"  # beside it, so that another text makes no stage run that reads the model alone


@dataclass(frozen=True)
class AuthorSettings:
    """Which model (conf/author/*.yaml): a preset, pinned or not, tuned on `text` or not; or random weights."""

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
        """Refuses two models, and none, and a pin that is none."""
        if (self.preset is None) == (self.random is None):
            raise UserError("author needs one of preset and random, the other null (conf/author/)")
        _ = self.pin
        if self.tuning is not None and (self.preset is None or self.text is None):
            raise UserError("author.tuning needs author.preset and author.text (params.yaml)")

    @property
    def pin(self) -> Pin:
        """What the preset must be; raises UserError where that is nothing it can be."""
        return Pin(self.revision, self.sha256)


def run(settings: AuthorSettings) -> None:
    """Preset anywhere, or random weights → artifacts/author, and text to measure it on → artifacts/text."""
    with quiet():
        import tensorflow as tf

        from autocomplete.presets import hub, loading, presets

        tf.config.list_physical_devices()  # says here that there is no GPU, not beside the bar of weights
    source: dict[str, Any] = {"source": "random weights"}
    found = None
    if settings.preset is not None:
        # outside of quiet: a download shows how far it is
        found = hub.find(settings.preset, settings.pin, settings.hub)
        source = presets.provenance(settings.preset, found, settings.pin)
    with replacing(OUT) as folder:
        if found is not None and settings.tuning is not None:  # outside of quiet too
            source |= _tune(settings, found.path, str(source["source"]), folder)
            found = hub.LocalPreset(folder)
        made = _random(settings) if found is None else loading.load(found.path)
        if made.model.preprocessor is not None:
            made.model.preprocessor.add_end_token = settings.add_end_token
        presets.save(made.model, folder)
        presets.write_tokenizer(made.tokenizer, folder)
        described = presets.describe(made, str(source["source"]), settings.license) | source
        write_json(folder / DESCRIPTION, described)
        with replacing(OUT.with_name(TEXT)) as texts:
            write_texts(found.path if found is not None else None, texts)
        for name in (EVALUATION_TEXT, CALIBRATION_TEXT):
            (folder / name).unlink(missing_ok=True)  # where tuning wrote them
    print(f"{OUT}: {described}")


def _tune(settings: AuthorSettings, preset: Path, source: str, folder: Path) -> dict[str, Any]:
    """Writes the preset, tuned, to a folder; returns what its description says of that."""
    with quiet():
        from autocomplete.train import finetune
    assert settings.tuning is not None
    with live.tuning_progress(finetune.WORK / "live", settings.tuning.training.steps) as watch:
        told = finetune.run(preset, Path(str(settings.text)), settings.tuning, folder, watch)
    return {"source": f"{source}, tuned on own text", "tuning": {"preset": source} | told}


def _random(settings: AuthorSettings) -> "LoadedModel":
    from autocomplete.presets import loading, random_model

    assert settings.random is not None
    with tempfile.TemporaryDirectory() as scratch, quiet():
        return loading.from_keras_model(random_model.build(settings.random, Path(scratch)))


def write_texts(preset: Path | None, folder: Path) -> None:
    """Text to measure on and to calibrate with: the preset's own, or general English of which no model here is made."""
    from autocomplete.data import general_text

    for name in (EVALUATION_TEXT, CALIBRATION_TEXT):
        own = preset / name if preset is not None and preset.is_dir() else None
        if own is not None and own.is_file():
            shutil.copyfile(own, folder / name)
        else:
            write_bytes(folder / name, general_text.jsonl(name).encode())


if __name__ == "__main__":
    config.main("author", AuthorSettings, run)
