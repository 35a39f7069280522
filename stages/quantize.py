"""quantize: applies a mode's recipe to the core, and links the result into the text driver."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stages import config
from stages.files import replacing, write_json

CONVERT = Path("artifacts/convert")
OUT = Path("artifacts/quantize")


@dataclass(frozen=True)
class QuantizeSettings:
    """The mode's name and its recipe for ai-edge-quantizer (conf/quantize/<mode>.yaml); an empty one is float32.

    `text_recipe` is for the core inside autocomplete.tflite, where its runtime needs another one; `text: false` leaves
    that file out, where its runtime cannot run the mode at all.
    """

    mode: str
    recipe: list[Any]
    text_recipe: list[Any] | None = None
    text: bool = True


def run(settings: QuantizeSettings) -> None:
    """artifacts/convert → core.tflite, autocomplete.tflite and recipe.json of one mode."""
    from stages.tflite import flatbuffer, graph, linker, quantization

    tokens_driver, text_driver = (flatbuffer.read(CONVERT / f"{n}_driver.tflite") for n in ("tokens", "text"))
    core = text_core = quantization.quantize(CONVERT / "core.tflite", settings.recipe)
    if settings.text_recipe is not None:
        text_core = quantization.quantize(CONVERT / "core.tflite", settings.text_recipe)
    with replacing(OUT / settings.mode) as folder:
        shipped = graph.without_signatures(core, linker.called_by(tokens_driver) | linker.called_by(text_driver))
        flatbuffer.write(shipped, folder / "core.tflite")
        flatbuffer.write(linker.link(tokens_driver, core), folder / "tokens.tflite")
        if settings.text:
            flatbuffer.write(linker.link(text_driver, text_core), folder / "autocomplete.tflite")
        write_json(folder / "recipe.json", asdict(settings))
        sizes = {p.name: f"{p.stat().st_size / 1e6:.2f} MB" for p in sorted(folder.glob("*.tflite"))}
    print(f"{OUT / settings.mode}: {sizes}")


if __name__ == "__main__":
    config.main("quantize", QuantizeSettings, run)
