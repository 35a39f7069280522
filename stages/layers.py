"""layers: what quantization costs in each matrix product of one mode, as a table and a picture.

Both show a bad layer: the signal-to-noise ratio of its result in the shipped core, and the KL divergence of the
predictions from float32's where it alone is quantized.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autocomplete.common import artifacts, config
from autocomplete.common.artifacts import Conversion, ModelDescription, ModeRecipe, Recipe
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, write_bytes
from autocomplete.common.processes import before_forking, pool

if TYPE_CHECKING:
    from autocomplete.common.arrays import Array
    from autocomplete.evaluate.layer_report import QuantizationLoss

AUTHOR, CONVERT, QUANTIZE = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/quantize")
OUT = Path("artifacts/layers")


@dataclass(frozen=True)
class LayersSettings:
    """What is measured (conf/layers/*.yaml).

    Attributes:
      mode: whose products are measured.
      evaluation_text: the text that the core reads.
      windows: how many windows of it.
      at_most_parameters: a larger model gets no report; None: any model gets one.
    """

    mode: str
    evaluation_text: str
    windows: int
    at_most_parameters: int | None

    def __post_init__(self) -> None:
        """Refuses a report without text."""
        if self.windows < 1:
            raise UserError(f"layers.windows is {self.windows}; allowed: at least 1")


def run(settings: LayersSettings) -> None:
    """Artifacts of author, convert and quantize → layers.csv and layers.png of one mode."""
    from autocomplete.data import evaluation_text
    from autocomplete.quantize import recipes
    from autocomplete.tokenizer import tokenizer

    before_forking()
    limit, model = settings.at_most_parameters, ModelDescription.read(AUTHOR / artifacts.MODEL)
    if limit is not None and model.parameters > limit:
        print(
            f"{settings.mode}: no report of products: the model has {model.parameters} parameters, more than "
            f"layers.at_most_parameters ({limit}, conf/layers/); each would be quantized and measured alone"
        )
        _write(settings.mode, [])
        return
    cores = (CONVERT / "core.tflite", QUANTIZE / settings.mode / "core.tflite")
    mode_recipe = ModeRecipe.read(QUANTIZE / settings.mode / artifacts.RECIPE)
    documents = evaluation_text.read_documents(Path(settings.evaluation_text), "validate.evaluation_text")
    bpe, boundary_tokens = tokenizer.from_preset(AUTHOR), evaluation_text.BoundaryTokens.from_description(model)
    length = Conversion.read(CONVERT / artifacts.CONVERSION).cache_length
    windows = evaluation_text.windows(documents, bpe, boundary_tokens, length, settings.windows)
    sequences: list[list[int]] = []
    if recipes.needs_calibration(mode_recipe.recipe):
        assert mode_recipe.calibration is not None  # quantize needed it too
        sequences = evaluation_text.calibration_windows(
            mode_recipe.calibration_text, mode_recipe.calibration, bpe, boundary_tokens, length
        )
    losses = _losses(cores, mode_recipe.recipe, sequences, windows) if mode_recipe.recipe else []
    _write(settings.mode, losses)
    show(settings.mode, losses)


def _losses(
    cores: tuple[Path, Path], recipe: Recipe, sequences: list[list[int]], windows: "Array"
) -> list["QuantizationLoss"]:
    """The losses of all products; their noise is measured in a process beside the calibration and the trials."""
    from autocomplete.evaluate import layer_report
    from autocomplete.quantize import recipes, sensitivity

    with pool(1, forked=True) as other_process:
        noise = other_process.submit(layer_report.noise, *cores, windows)
        statistics = recipes.calibrate(cores[0], recipe, sequences)
        trial = sensitivity.Trial(cores[0], [], statistics, windows.tolist())
        divergences = layer_report.divergences(trial, recipe)
        return layer_report.losses(divergences, noise.result())


def _write(mode: str, losses: Sequence["QuantizationLoss"]) -> None:
    """Writes layers.csv and layers.png of a mode."""
    from autocomplete.evaluate import layer_report

    with replacing(OUT / mode) as folder:
        write_bytes(folder / "layers.csv", layer_report.comma_separated(losses).encode())
        plot(mode, losses, folder / "layers.png")


def plot(mode: str, losses: Sequence["QuantizationLoss"], path: Path) -> None:
    """Draws both measures of every product, from above in the order of the graph."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (noise, divergence) = plt.subplots(
        1, 2, sharey=True, figsize=(9, 1.6 + 0.22 * max(len(losses), 4)), layout="constrained"
    )
    names = [loss.product for loss in losses]
    worst = max(losses, key=lambda loss: loss.kl_divergence, default=None)
    colours = ["tab:red" if loss is worst else "tab:blue" for loss in losses]
    noise.barh(names, [loss.snr_db for loss in losses], color=colours)
    noise.set(xlabel="signal-to-noise ratio in the shipped core, dB")
    noise.invert_yaxis()
    divergence.barh(names, [loss.kl_divergence for loss in losses], color=colours)
    divergence.set(xlabel="KL divergence, quantized alone, nats")
    divergence.ticklabel_format(axis="x", scilimits=(-3, 3))
    figure.suptitle(f"{mode}: what each product loses" if losses else f"{mode}: nothing is quantized")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def show(mode: str, losses: Sequence["QuantizationLoss"]) -> None:
    """Prints the table, with the product of the largest divergence in red."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not losses:
        print(f"{mode}: nothing is quantized")
        return
    table = Table("product", box=box.SIMPLE_HEAD, padding=(0, 1), title=f"{mode}: what each product loses")
    for heading in ("SNR dB", "KL alone"):
        table.add_column(heading, justify="right")
    worst = max(losses, key=lambda loss: loss.kl_divergence)
    for loss in losses:
        style = "red" if loss is worst else ""
        table.add_row(loss.product, f"{loss.snr_db:.1f}", f"{loss.kl_divergence:.2g}", style=style)
    Console().print(table)


if __name__ == "__main__":
    config.main("layers", LayersSettings, run)
