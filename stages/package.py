"""package: puts together what an app team pulls, unless a gate of validate refused the mode."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocomplete.common import config
from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, replacing, write_bytes

if TYPE_CHECKING:
    from autocomplete.bundle import manifest

AUTHOR, CONVERT, QUANTIZE = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/quantize")
VALIDATE, OUT = Path("artifacts/validate"), Path("artifacts/package")


@dataclass(frozen=True)
class PackageSettings:
    """What the bundle says about itself (conf/package/*.yaml)."""

    mode: str
    name: str
    title: str
    language: str
    allow_failed_gates: bool
    page: bool


def run(settings: PackageSettings) -> None:
    """Artifacts of earlier stages → one folder to pull."""
    from autocomplete.bundle import card, manifest, usage

    shipped, validated = QUANTIZE / settings.mode, VALIDATE / settings.mode
    facts = manifest.Facts(
        read_json(AUTHOR / "model.json"),
        read_json(CONVERT / "convert.json"),
        read_json(shipped / "recipe.json"),
        read_json(validated / "metrics.json"),
        read_json(validated / "performance.json"),
        read_json(validated / "targets.json"),
    )
    _refuse_failed(settings, facts.metrics["gates"])
    with replacing(OUT / settings.mode) as folder:
        _add_tokenizer(folder)
        described = _add_models(shipped, folder, facts)
        names = manifest.Names(settings.name, settings.title, settings.language)
        content = manifest.build(names, facts, described, folder)
        usage.write(content, folder)
        if settings.page and manifest.PORTABLE in described:
            _add_page(content, folder)
        # the card tells the models' sizes, which the manifest holds; the manifest then holds the card's
        write_bytes(folder / manifest.CARD, card.render(content).encode())
        shutil.copyfile(manifest.SCHEMA, folder / manifest.SCHEMA.name)
        manifest.seal(content, folder, known=content["files"])
        total = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    print(f"{OUT / settings.mode}: {total / 1e6:.2f} MB")


def _refuse_failed(settings: PackageSettings, gates: Sequence[Mapping[str, Any]]) -> None:
    failed = [g for g in gates if not g["passed"]]
    if failed and not settings.allow_failed_gates:
        reasons = "; ".join(f"{g['name']} is {g['value']:g}, wanted {g['threshold']}" for g in failed)
        raise UserError(
            f"mode {settings.mode} is not packaged, a gate failed: {reasons}. Mend the mode, change the gate in "
            "conf/validate/, or set package.allow_failed_gates to true in conf/package/"
        )


def _add_models(shipped: Path, folder: Path, facts: "manifest.Facts") -> dict[str, Any]:
    """The .tflite files, and what is made of them; returns what each takes, gives and needs."""
    from autocomplete.bundle import android
    from autocomplete.tflite import inspect

    models = sorted(shipped.glob("*.tflite"))
    for path in models:
        shutil.copyfile(path, folder / path.name)
    described = {path.name: inspect.describe(path) for path in models}
    if facts.targets["core.tflite"]["litert_lm"]["fits"]:
        _add_litert_lm(folder, facts)
    if text := described.get("autocomplete.tflite"):
        write_bytes(folder / "flex_ops.md", android.select_operators(text).encode())
    return described


def _add_page(content: Mapping[str, Any], folder: Path) -> None:
    """web/: the page that runs portable.tflite; left out, with a line, where npm is not there to bring its runtime."""
    from autocomplete.page import page

    if page.available():
        page.write(content, folder)
    else:
        print("no web/: npm, which brings LiteRT.js, is not installed; install Node 20 or newer with npm and run again")


def _add_tokenizer(folder: Path) -> None:
    """tokenizer/: what apps with a tokenizer of their own read."""
    from autocomplete.tokenizer import tokenizer, tokenizer_json

    for name, data in tokenizer_json.client_files(tokenizer.read_tokenizer_json(AUTHOR)).items():
        write_bytes(folder / "tokenizer" / name, data)


def _add_litert_lm(folder: Path, facts: "manifest.Facts") -> None:
    """autocomplete.litertlm: core, tokenizer and what LiteRT-LM must know beside them."""
    from autocomplete.bundle import litertlm, manifest

    told = litertlm.Facts(**manifest.litert_lm(facts.model, facts.conversion))
    litertlm.write(folder / "core.tflite", folder / "tokenizer/tokenizer.json", told, folder / manifest.LITERT_LM)


if __name__ == "__main__":
    config.main("package", PackageSettings, run)
