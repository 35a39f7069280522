"""MODEL_CARD.md, in the form of Hugging Face's model cards."""

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from autocomplete.bundle.contract import Manifest
from autocomplete.bundle.manifest import PORTABLE
from autocomplete.common.metrics import PERFORMANCE, QUALITY

_TEMPLATE = Path(__file__).with_name("card.md")
_TEXT_USE = """\
Give the text typed so far to signature `serving_default` of `autocomplete.tflite`, input `prompt`. The answer is that
text, byte for byte, then the suggestion; at most {lengths[max_output_bytes]} bytes in all, and a longer prompt
answers itself. The model reads the last {lengths[context_window]} tokens of the prompt and writes until
{lengths[sequence_length]} tokens are read and written, or the text ends. Sampler: {sampler[sampler]}."""
_TOKENS_USE = """\
This mode has no text model: the runtimes of string operators cannot run it, or no graph knows its tokenizer. Encode the
text typed so far by `tokenizer/`, give the last {lengths[context_window]} ids to signature `generate` of
`tokens.tflite`, and decode what comes back, at most {lengths[sequence_length]} tokens, prompt included."""
_PORTABLE_USE = """

`portable.tflite` takes text and gives text in any runtime, without a tokenizer and without operators to add: signature
`generate`, UTF-8 in (`prompt`, room for {lengths[portable_prompt_bytes]} bytes, and `prompt_length`; of a longer text
the last ones), the new text alone out (`text`, `text_length`). `complete_word` 1 completes a word that the prompt ends
in."""
# Metrics that test the conversion, or say no more to an app team than others in the table.
_LEFT_OUT = (
    "parity_max",
    "parity_relative",
    "parity_mean",
    "perplexity_stderr",
    "accepted_words_2",
    "tokens_greedy_match",
    "text_greedy_match",
    "portable_greedy_match",
    "portable_tf_greedy_match",
    "tokenizer_match",
    "android_contract",
    "portable_contract",
    "context_words_p50",
    "context_words_p95",
    "prefill_tokens_per_s",
    "decode_tokens_per_s_p90",
)
# Metrics of the table, in order.
_ROWS = tuple(m for m in (QUALITY | PERFORMANCE).values() if m.key not in _LEFT_OUT)
_LITERT_LM = "`autocomplete.litertlm` is the same model with its tokenizer, in one file for LiteRT-LM. "
_RELEASE = "Version {version}, made from revision `{revision}`.\n\n"
_SUPPRESSED = " {} tokens of the vocabulary are never said (`suppress_tokens` in `manifest.json`)."
_TUNED = """ It was tuned on own text (SHA-256 `{text_sha256}`):
perplexity {held_out_perplexity_before} before and {held_out_perplexity_after} after, on held-out passages of it."""
_REFUSED = "\n**Gates that failed:** {}. This bundle was made with `package.allow_failed_gates: true`.\n"


def render(manifest: Manifest) -> str:
    """The card of a bundle, filled from its manifest."""
    metrics, suppressed = manifest.metrics, manifest.suppress_tokens
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="held-out",
            dataset_name="held-out documents",
            metric_type=metric,
            metric_value=metrics.value(metric),
        )
        for metric in ("perplexity", "bits_per_byte")
    ]
    data = ModelCardData(
        language=manifest.language,
        license="other",
        license_name="see-card",
        library_name="litert",
        tags=["autocomplete", "tflite", manifest.mode],
        model_name=f"{manifest.name}-{manifest.mode}",
        eval_results=results,
    )
    content, tuning = manifest.model_dump(mode="json"), manifest.model.tuning
    body = _TEMPLATE.read_text().format(
        m=content,
        release=_RELEASE.format(**content["release"]) if manifest.release else "",
        files="\n".join(_file_row(path, manifest) for path in manifest.models),
        signatures=", ".join(manifest.models["core.tflite"].signatures),
        use=_usage(manifest).format(**content),
        measured="| metric | value |\n|---|---|\n" + "\n".join(_metric_rows(manifest)),
        languages=", ".join(metrics.filter.languages),
        suppressed=_SUPPRESSED.format(len(suppressed)) if suppressed else "",
        litert_lm=_LITERT_LM if manifest.litert_lm else "",
        tuned=_TUNED.format(**content["model"]["tuning"]) if tuning else "",
        refused=_REFUSED.format(", ".join(manifest.failed_gates)) if manifest.failed_gates else "",
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}"))


def _usage(manifest: Manifest) -> str:
    use = _TEXT_USE if "autocomplete.tflite" in manifest.models else _TOKENS_USE
    return use + (_PORTABLE_USE if PORTABLE in manifest.models else "")


def _metric_rows(manifest: Manifest) -> Iterator[str]:
    """A row for each metric that was measured, with its standard error where it has one."""
    for metric in _ROWS:
        record = manifest.metrics if metric.key in QUALITY else manifest.performance
        value, error = record.value(metric.key), record.value(f"{metric.key}_stderr")
        if value is not None:
            yield f"| {metric.label} | {value}{f' ± {error}' if error is not None else ''}{metric.unit} |"


def _file_row(path: str, manifest: Manifest) -> str:
    fits = [name for name, fit in manifest.targets[path].items() if fit.fits]
    return f"| `{path}` | {manifest.models[path].runtime} | {', '.join(fits) or '–'} | {manifest.files[path].bytes:,} |"
