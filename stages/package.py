"""package: makes the bundle of a mode, which app teams pull, unless a gate failed."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autocomplete.bundle.contract import TfliteModel
from autocomplete.common import config
from autocomplete.common.artifacts import GateResult
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, write_bytes

if TYPE_CHECKING:
    from autocomplete.bundle import manifest

AUTHOR, CONVERT, QUANTIZE = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/quantize")
VALIDATE, JUDGE = Path("artifacts/validate"), Path("artifacts/judge")
PAGE_RUNTIME, OUT = Path("artifacts/page_runtime"), Path("artifacts/package")


@dataclass(frozen=True)
class PackageSettings:
    """Names of the bundle, and what it holds (conf/package/*.yaml)."""

    mode: str
    name: str
    title: str
    language: str
    allow_failed_gates: bool
    page: bool


def run(settings: PackageSettings) -> None:
    """Artifacts of earlier stages → one folder to pull."""
    from autocomplete.bundle import card, manifest, usage
    from autocomplete.page import page

    shipped = QUANTIZE / settings.mode
    folders = {"quantize": shipped, "validate": VALIDATE / settings.mode, "judge": JUDGE / settings.mode}
    records = manifest.Records.read(AUTHOR, CONVERT, folders)
    _refuse_failed(settings, records.gates.failed)
    with replacing(OUT / settings.mode) as folder:
        _add_tokenizer(folder)
        described = _add_models(shipped, folder, records)
        names = manifest.Names(settings.name, settings.title, settings.language)
        content = manifest.build(names, records, described, folder)
        usage.write(content, folder)
        if settings.page and manifest.PORTABLE in described:
            _require_runtime()
            page.write(content, PAGE_RUNTIME, folder)
        # the card has the models' sizes from the manifest; the manifest then gets the card's
        write_bytes(folder / manifest.CARD, card.render(content).encode())
        shutil.copyfile(manifest.SCHEMA, folder / manifest.SCHEMA.name)
        manifest.seal(content, folder, known_files=content.files)
        total = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    print(f"{OUT / settings.mode}: {total / 1e6:.2f} MB")


def _require_runtime() -> None:
    if not (PAGE_RUNTIME / "index.js").is_file():
        raise UserError(
            f"{PAGE_RUNTIME} does not hold the page's runtime: run `dvc repro page_runtime`, or set page to false in "
            "conf/package/"
        )


def _refuse_failed(settings: PackageSettings, failed: Sequence[GateResult]) -> None:
    if failed and not settings.allow_failed_gates:
        reasons = "; ".join(f"{g.name} is {g.value:g}, wanted {g.threshold}" for g in failed)
        raise UserError(
            f"mode {settings.mode} is not packaged, a gate failed: {reasons}. Mend the mode, change the gate in "
            "conf/judge/, or set package.allow_failed_gates to true in conf/package/"
        )


def _add_models(shipped: Path, folder: Path, records: "manifest.Records") -> dict[str, TfliteModel]:
    """Adds the .tflite files and what is made of them; returns the interface of each."""
    from autocomplete.bundle import android
    from autocomplete.tflite import inspect

    models = sorted(shipped.glob("*.tflite"))
    for path in models:
        shutil.copyfile(path, folder / path.name)
    described = {path.name: inspect.describe(path) for path in models}
    if records.targets["core.tflite"]["litert_lm"].fits:
        _add_litert_lm(folder, records)
    if text := described.get("autocomplete.tflite"):
        page = android.flex_ops_page(text.select_tf_operators, text.custom_operators)
        write_bytes(folder / "flex_ops.md", page.encode())
    return {name: TfliteModel(**asdict(description)) for name, description in described.items()}


def _add_tokenizer(folder: Path) -> None:
    """Adds tokenizer/, for apps with a tokenizer of their own."""
    from autocomplete.tokenizer import tokenizer, tokenizer_json

    for name, data in tokenizer_json.client_files(tokenizer.read_tokenizer_json(AUTHOR)).items():
        write_bytes(folder / "tokenizer" / name, data)


def _add_litert_lm(folder: Path, records: "manifest.Records") -> None:
    """Adds autocomplete.litertlm: core, tokenizer and settings for LiteRT-LM."""
    from autocomplete.bundle import litertlm, manifest

    settings = manifest.litert_lm(records.model, records.conversion)
    litertlm.write(folder / "core.tflite", folder / "tokenizer/tokenizer.json", settings, folder / manifest.LITERT_LM)


if __name__ == "__main__":
    config.main("package", PackageSettings, run)
