"""MODEL_CARD.md, by Hugging Face's conventions and library."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

_TEMPLATE = Path(__file__).with_name("card.md")
_REFUSED = "\n**Gates that failed:** {}. This bundle was made with `package.allow_failed_gates: true`.\n"


def render(manifest: Mapping[str, Any], title: str, language: str) -> str:
    """The card of a bundle, filled from its manifest."""
    metrics = manifest["metrics"]
    name = f"{manifest['name']}-{manifest['mode']}"
    results = [
        EvalResult(
            task_type="text-generation", dataset_type="held-out", dataset_name="held-out documents",
            metric_type=metric, metric_value=metrics[metric],
        )
        for metric in ("perplexity", "bits_per_byte")
    ]  # fmt: skip
    data = ModelCardData(
        language=language, license="other", license_name="see-card", library_name="litert",
        tags=["autocomplete", "tflite", manifest["mode"]], model_name=name, eval_results=results,
    )  # fmt: skip
    body = _TEMPLATE.read_text().format(
        m=manifest,
        title=title,
        files="\n".join(_row(path, model, manifest) for path, model in manifest["models"].items()),
        signatures=", ".join(manifest["models"]["core.tflite"]["signatures"]),
        refused=_REFUSED.format(", ".join(manifest["failed_gates"])) if manifest["failed_gates"] else "",
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}"))


def _row(path: str, model: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    return f"| `{path}` | {model['runtime']} | {manifest['files'][path]['bytes']:,} |"
