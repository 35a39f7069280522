"""author: loads a KerasHub causal language model and writes it as a local preset with a description."""

from dataclasses import dataclass
from pathlib import Path

from stages import config
from stages.files import replacing, write_json
from stages.quiet import quiet

OUT = Path("artifacts/author")


@dataclass(frozen=True)
class AuthorSettings:
    """Which model (conf/author/*.yaml)."""

    preset: str
    license: str
    add_end_token: bool


def run(settings: AuthorSettings) -> None:
    """Preset anywhere → artifacts/author."""
    with quiet():
        from stages.lm import presets

        model = presets.load(settings.preset)
    model.preprocessor.add_end_token = settings.add_end_token
    with replacing(OUT) as folder:
        presets.save(model, folder)
        write_json(folder / presets.DESCRIPTION, presets.describe(model, settings.preset, settings.license))
    print(f"{OUT}: {presets.describe(model, settings.preset, settings.license)}")


if __name__ == "__main__":
    config.main("author", AuthorSettings, run)
