"""quantize: applies a mode's recipe to the core, and links the result into the drivers."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocomplete.common import artifacts, config
from autocomplete.common.artifacts import Conversion, ModelDescription, ModeRecipe, Recipe
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema

AUTHOR, CONVERT, OUT = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/quantize")
PARTS = "parts"  # the folder of cores with all their signatures, of which the shipped files are made
_TRIAL_SEQUENCES = 2  # of the calibration: matrices differ by more than the error of two


@dataclass(frozen=True)
class Calibration:
    """How much of calibration_text a recipe is calibrated with, and the seed that draws it."""

    sequences: int
    seed: int

    def __post_init__(self) -> None:
        """Refuses a calibration without data."""
        if self.sequences < 1:
            raise UserError(f"quantize.calibration.sequences is {self.sequences}; allowed: at least 1")


@dataclass(frozen=True)
class ExtraRecipe:
    """Entries for the matrices that lose least by them, until the core has this share of its size."""

    recipe: Recipe
    size: float


@dataclass(frozen=True)
class QuantizeSettings:
    """How a mode is quantized (conf/quantize/<mode>.yaml).

    Attributes:
      mode: its name.
      calibration_text: the text that recipes are calibrated with.
      recipe: litert-quantizer's entries, or the path of a JSON file with such a list; an empty list is float32.
      text_recipe: that of the core inside autocomplete.tflite and portable.tflite, if older runtimes need another one.
      text: false leaves autocomplete.tflite out, if its runtime cannot run the mode at all.
      calibration: how much of calibration_text is read.
      extra_recipe: quantizes some matrices further, those that lose least.
    """

    mode: str
    calibration_text: str
    recipe: Any
    text_recipe: Any = None
    text: bool = True
    calibration: Calibration | None = None
    extra_recipe: ExtraRecipe | None = None


def run(settings: QuantizeSettings) -> None:
    """artifacts/convert → core.tflite, tokens.tflite, portable.tflite, autocomplete.tflite and recipe.json."""
    recipe = read_recipe(settings.recipe, "recipe")
    text_recipe = None if settings.text_recipe is None else read_recipe(settings.text_recipe, "text_recipe")

    from autocomplete.tflite import edit, flatbuffer, linker, signatures

    paths = {n: CONVERT / f"{n}_driver.tflite" for n in ("tokens", "text", "bytes")}
    drivers = {n: flatbuffer.read(p) for n, p in paths.items() if p.exists()}
    if "text" not in drivers:  # convert said why
        settings, text_recipe = replace(settings, text=False), None
    core, text_core, recipe = _cores(settings, recipe, text_recipe)
    with replacing(OUT / settings.mode) as folder:
        (folder / PARTS).mkdir()
        flatbuffer.write(core, folder / PARTS / "core.tflite")
        called = {name for driver in drivers.values() for name in linker.called_by(driver)}
        shipped = edit.without_signatures(core, called | {signatures.SCORE})
        flatbuffer.write(shipped, folder / "core.tflite")
        flatbuffer.write(linker.link(drivers["tokens"], core), folder / "tokens.tflite")
        if "bytes" in drivers:
            # with the text model's core, as it is for older runtimes too
            flatbuffer.write(linker.link(drivers["bytes"], text_core), folder / "portable.tflite")
        if settings.text:
            if text_core is not core:
                flatbuffer.write(text_core, folder / PARTS / "text_core.tflite")
            flatbuffer.write(linker.link(drivers["text"], text_core), folder / "autocomplete.tflite")
        content = asdict(settings) | {"recipe": recipe, "text_recipe": text_recipe}
        ModeRecipe.parse(content, artifacts.RECIPE).write(folder / artifacts.RECIPE)
        sizes = {p.name: f"{p.stat().st_size / 1e6:.2f} MB" for p in sorted(folder.glob("*.tflite"))}
    print(f"{OUT / settings.mode}: {sizes}")
    if not settings.text:
        print(f"{settings.mode} has no text model: its runtimes cannot run the mode (text: false), or it has no driver")


def _cores(
    settings: QuantizeSettings, recipe: Recipe, text_recipe: Recipe | None
) -> tuple["schema.ModelT", "schema.ModelT", Recipe]:
    """The core, the core for the text model, and the recipe with what `extra_recipe` added to it."""
    from autocomplete.quantize import recipes

    path, extra_recipe = CONVERT / "core.tflite", settings.extra_recipe
    both = [[*recipe, *(extra_recipe.recipe if extra_recipe else [])], text_recipe or []]
    to_calibrate = [r for r in both if recipes.needs_calibration(r)]
    sequences = _sequences(settings) if to_calibrate or extra_recipe else []
    # the other recipe shares the statistics of the first
    statistics = recipes.calibrate(path, to_calibrate[0], sequences) if to_calibrate else None
    if extra_recipe:
        from autocomplete.quantize import sensitivity

        trial = sensitivity.Trial(path, recipe, statistics, sequences[:_TRIAL_SEQUENCES])
        recipe, chosen = sensitivity.recipe_within(trial, extra_recipe.recipe, extra_recipe.size)
        for m in chosen:
            print(f"quantized further: {m.role}, KL divergence {m.divergence:.2g} nats, {m.saved_bytes} bytes less")
    core = recipes.quantize(path, recipe, statistics)
    if text_recipe is None or not settings.text:
        return core, core, recipe
    return core, recipes.quantize(path, text_recipe, statistics), recipe


def read_recipe(setting: Any, key: str) -> Recipe:
    """The entries of a recipe, which is a list or the path of a JSON file.

    Raises:
      UserError: if the file does not exist, or it or the setting holds no list of entries.
    """
    entries = setting
    if isinstance(setting, str):
        try:
            entries = json.loads(Path(setting).read_bytes())
        except FileNotFoundError:
            raise UserError(f"quantize.{key} names {setting}, which does not exist") from None
        except ValueError as error:
            raise UserError(f"quantize.{key}: {setting} is not valid JSON ({error})") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"quantize.{key} must be a list of entries, or a JSON file with one (litert-quantizer's form)")
    return entries


def _sequences(settings: QuantizeSettings) -> list[list[int]]:
    """Token sequences for calibration, as long as the KV cache, drawn from calibration_text by the seed."""
    from autocomplete.data import evaluation_text
    from autocomplete.tokenizer import tokenizer

    calibration = settings.calibration
    if calibration is None:
        raise UserError(
            f"mode {settings.mode} must be calibrated: add `calibration: {{sequences: 32, seed: 1}}` to "
            f"conf/quantize/{settings.mode}.yaml"
        )
    model = ModelDescription.read(AUTHOR / artifacts.MODEL)
    bpe, boundary_tokens = tokenizer.from_preset(AUTHOR), evaluation_text.BoundaryTokens.from_description(model)
    length = Conversion.read(CONVERT / artifacts.CONVERSION).cache_length
    drawn = artifacts.Calibration(**asdict(calibration))
    return evaluation_text.calibration_windows(settings.calibration_text, drawn, bpe, boundary_tokens, length)


if __name__ == "__main__":
    config.main("quantize", QuantizeSettings, run)
