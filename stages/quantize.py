"""quantize: applies a mode's recipe to the core, and links the result into the text driver."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages import config
from stages.files import replacing, write_json

CONVERT = Path("artifacts/convert")
OUT = Path("artifacts/quantize")


@dataclass(frozen=True)
class QuantizeSettings:
    """The mode's name and its recipe for ai-edge-quantizer (conf/quantize/<mode>.yaml); an empty one is float32."""

    mode: str
    recipe: list[Any]


def run(settings: QuantizeSettings) -> None:
    """artifacts/convert → core.tflite, autocomplete.tflite and recipe.json of one mode."""
    from stages.tflite import flatbuffer, linker, quantization

    driver = flatbuffer.read(CONVERT / "text_driver.tflite")
    core = quantization.quantize(CONVERT / "core.tflite", settings.recipe)
    with replacing(OUT / settings.mode) as folder:
        flatbuffer.write(core, folder / "core.tflite")
        flatbuffer.write(linker.link(driver, core), folder / "autocomplete.tflite")
        write_json(folder / "recipe.json", {"mode": settings.mode, "recipe": settings.recipe})
        sizes = {p.name: f"{p.stat().st_size / 1e6:.2f} MB" for p in sorted(folder.glob("*.tflite"))}
    print(f"{OUT / settings.mode}: {sizes}")


if __name__ == "__main__":
    config.main("quantize", QuantizeSettings, run)
