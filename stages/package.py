"""package: puts together what an app team pulls, unless a gate of validate refused the mode."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from stages import config
from stages.errors import UserError
from stages.files import read_json, replacing, write_bytes, write_json

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


def run(settings: PackageSettings) -> None:
    """Artifacts of earlier stages → one folder to pull."""
    from stages.bundle import card, manifest, usage
    from stages.tflite import inspect

    shipped, validated = QUANTIZE / settings.mode, VALIDATE / settings.mode
    facts = manifest.Facts(
        read_json(AUTHOR / "model.json"), read_json(CONVERT / "convert.json"), read_json(shipped / "recipe.json"),
        read_json(validated / "metrics.json"), read_json(validated / "performance.json"),
        read_json(validated / "targets.json"),
    )  # fmt: skip
    failed = [g for g in facts.metrics["gates"] if not g["passed"]]
    if failed and not settings.allow_failed_gates:
        reasons = "; ".join(f"{g['name']} is {g['value']:g}, wanted {g['threshold']}" for g in failed)
        raise UserError(
            f"mode {settings.mode} is not packaged, a gate failed: {reasons}. Mend the mode, change the gate in "
            "conf/validate/, or set package.allow_failed_gates to true in conf/package/"
        )
    with replacing(OUT / settings.mode) as folder:
        models = sorted(shipped.glob("*.tflite"))
        for path in models:
            shutil.copyfile(path, folder / path.name)
        shutil.copytree(AUTHOR / "assets/tokenizer", folder / "tokenizer", copy_function=shutil.copyfile)
        described = {p.name: inspect.describe(p) for p in models}
        content = manifest.build(settings.name, facts, described, folder)
        write_bytes(folder / "MODEL_CARD.md", card.render(content, settings.title, settings.language).encode())
        usage.write(content, folder)
        write_json(folder / "manifest.json", content | {"files": manifest.files(folder)})
        total = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    print(f"{OUT / settings.mode}: {total / 1e6:.2f} MB")


if __name__ == "__main__":
    config.main("package", PackageSettings, run)
