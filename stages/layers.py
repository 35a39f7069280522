"""layers: how much each matrix product of one mode loses, as a table and a picture.

The signal-to-noise ratio of its result in the shipped core, and the KL divergence of the predictions from float32's
where it alone is quantized: a bad layer is seen in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autocomplete.common import artifacts, config
from autocomplete.common.artifacts import Conversion, ModelDescription, ModeRecipe
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, write_bytes

if TYPE_CHECKING:
    from autocomplete.evaluate.layer_report import Loss

AUTHOR, CONVERT, QUANTIZE = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/quantize")
OUT = Path("artifacts/layers")


@dataclass(frozen=True)
class LayersSettings:
    """The mode, the text that its products are measured with, and how much of it (conf/layers/*.yaml)."""

    mode: str
    evaluation_text: str
    windows: int
    at_most_parameters: int | None

    def __post_init__(self) -> None:
        """Refuses a report about nothing."""
        if self.windows < 1:
            raise UserError(f"layers.windows is {self.windows}; allowed: at least 1")


def run(settings: LayersSettings) -> None:
    """Artifacts of author, convert and quantize → layers.csv and layers.png of one mode."""
    from autocomplete.data import evaluation_text
    from autocomplete.evaluate import layer_report
    from autocomplete.quantize import recipes
    from autocomplete.tokenizer import tokenizer

    most, model = settings.at_most_parameters, ModelDescription.read(AUTHOR / artifacts.MODEL)
    if most is not None and model.parameters > most:
        print(
            f"{settings.mode}: no report of products: the model has {model.parameters} parameters, more than "
            f"layers.at_most_parameters ({most}, conf/layers/); each would be quantized and measured alone"
        )
        _write(settings.mode, [])
        return
    cores = (CONVERT / "core.tflite", QUANTIZE / settings.mode / "core.tflite")
    noted = ModeRecipe.read(QUANTIZE / settings.mode / artifacts.RECIPE)
    documents = evaluation_text.read_documents(Path(settings.evaluation_text), "validate.evaluation_text")
    bpe, boundary_tokens = (
        tokenizer.from_preset(AUTHOR),
        evaluation_text.BoundaryTokens.from_description(model),
    )
    length = Conversion.read(CONVERT / artifacts.CONVERSION).cache_length
    statistics = None
    if recipes.needs_calibration(noted.recipe):
        chosen = noted.calibration or {}
        drawn = evaluation_text.calibration_documents(noted.calibration_text, chosen["seed"])
        sequences = evaluation_text.windows(drawn, bpe, boundary_tokens, length, chosen["sequences"])
        statistics = recipes.calibrate(cores[0], noted.recipe, sequences.tolist())
    windows = evaluation_text.windows(documents, bpe, boundary_tokens, length, settings.windows)
    found = layer_report.losses(cores, noted.recipe, statistics, windows)
    _write(settings.mode, found)
    show(settings.mode, found)


def _write(mode: str, found: Sequence["Loss"]) -> None:
    """layers.csv and layers.png of a mode."""
    from autocomplete.evaluate import layer_report

    with replacing(OUT / mode) as folder:
        write_bytes(folder / "layers.csv", layer_report.comma_separated(found).encode())
        plot(mode, found, folder / "layers.png")


def plot(mode: str, found: Sequence["Loss"], path: Path) -> None:
    """Both figures of every product, in the order of the graph from above."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (noise, divergence) = plt.subplots(
        1, 2, sharey=True, figsize=(9, 1.6 + 0.22 * max(len(found), 4)), layout="constrained"
    )
    names = [loss.product for loss in found]
    worst = max(found, key=lambda loss: loss.kl_divergence, default=None)
    colours = ["tab:red" if loss is worst else "tab:blue" for loss in found]
    noise.barh(names, [loss.snr_db for loss in found], color=colours)
    noise.set(xlabel="signal-to-noise ratio in the shipped core, dB")
    noise.invert_yaxis()
    divergence.barh(names, [loss.kl_divergence for loss in found], color=colours)
    divergence.set(xlabel="KL divergence, quantized alone, nats")
    divergence.ticklabel_format(axis="x", scilimits=(-3, 3))
    figure.suptitle(f"{mode}: what each product loses" if found else f"{mode}: nothing is quantized")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def show(mode: str, found: Sequence["Loss"]) -> None:
    """Prints the table, the product that costs most in red."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not found:
        print(f"{mode}: nothing is quantized")
        return
    table = Table("product", box=box.SIMPLE_HEAD, padding=(0, 1), title=f"{mode}: what each product loses")
    for heading in ("SNR dB", "KL alone"):
        table.add_column(heading, justify="right")
    worst = max(found, key=lambda loss: loss.kl_divergence)
    for loss in found:
        style = "red" if loss is worst else ""
        table.add_row(loss.product, f"{loss.snr_db:.1f}", f"{loss.kl_divergence:.2g}", style=style)
    Console().print(table)


if __name__ == "__main__":
    config.main("layers", LayersSettings, run)
