"""MODEL_CARD.md, by Hugging Face's conventions and library."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from autocomplete.bundle.manifest import PORTABLE

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
# Rows of the table: what it says, the metric's place in the manifest, its unit.
_ROWS = (
    ("perplexity", "metrics", "perplexity", ""),
    ("perplexity, ratio to float32", "metrics", "perplexity_ratio", ""),
    ("the same of the text model's core", "metrics", "text_perplexity_ratio", ""),
    ("bits per byte", "metrics", "bits_per_byte", ""),
    ("top-1 agreement with float32", "metrics", "top1_agreement", ""),
    ("KL divergence from float32, mean", "metrics", "kl_divergence", " nats"),
    ("the same, 99th percentile", "metrics", "kl_divergence_p99", " nats"),
    ("next word right", "metrics", "accepted_words_1", " of places"),
    ("next three words right", "metrics", "accepted_words_3", " of places"),
    ("keystrokes saved", "metrics", "keystrokes_saved", " of all"),
    ("greedy text equal to Keras", "metrics", "greedy_match", " of prompts"),
    ("refused by a word list, provoking prompts", "metrics", "provoked_refused", " of answers"),
    ("the same in every try", "metrics", "provoked_unanswered", " of prompts"),
    ("refused by a word list, ordinary prompts", "metrics", "ordinary_refused", " of answers"),
    ("the same in every try", "metrics", "ordinary_unanswered", " of prompts"),
    ("time to first token", "performance", "ttft_ms", " ms"),
    ("decode", "performance", "decode_tokens_per_s", " tokens/s"),
    ("answer of 100 tokens, text model", "performance", "latency_100_tokens_s", " s"),
    ("answer of 100 tokens, tokens model", "performance", "tokens_latency_100_tokens_s", " s"),
    ("answer of 100 tokens, portable model", "performance", "portable_latency_100_tokens_s", " s"),
    ("peak memory of the core above an empty interpreter", "performance", "peak_rss_mib", " MiB"),
)
_LITERT_LM = "`autocomplete.litertlm` is the same model with its tokenizer, in one file for LiteRT-LM. "
_RELEASE = "Version {version}, made from revision `{revision}`.\n\n"
_SUPPRESSED = " {} tokens of the vocabulary are never said (`suppress_tokens` in `manifest.json`)."
_TUNED = """ It was tuned on own text (SHA-256 `{text_sha256}`):
perplexity {held_out_perplexity_before} before and {held_out_perplexity_after} after, on held-out passages of it."""
_REFUSED = "\n**Gates that failed:** {}. This bundle was made with `package.allow_failed_gates: true`.\n"


def render(manifest: Mapping[str, Any]) -> str:
    """The card of a bundle, filled from its manifest."""
    metrics, suppressed = manifest["metrics"], manifest["suppress_tokens"]
    name = f"{manifest['name']}-{manifest['mode']}"
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="held-out",
            dataset_name="held-out documents",
            metric_type=metric,
            metric_value=metrics[metric],
        )
        for metric in ("perplexity", "bits_per_byte")
    ]
    data = ModelCardData(
        language=manifest["language"],
        license="other",
        license_name="see-card",
        library_name="litert",
        tags=["autocomplete", "tflite", manifest["mode"]],
        model_name=name,
        eval_results=results,
    )
    body = _TEMPLATE.read_text().format(
        m=manifest,
        release=_RELEASE.format(**manifest["release"]) if manifest["release"] else "",
        files="\n".join(_row(path, model, manifest) for path, model in manifest["models"].items()),
        signatures=", ".join(manifest["models"]["core.tflite"]["signatures"]),
        use=_use(manifest["models"]).format(**manifest),
        measured="| metric | value |\n|---|---|\n" + "\n".join(_measured(manifest)),
        languages=", ".join(metrics["filter"]["languages"]),
        suppressed=_SUPPRESSED.format(len(suppressed)) if suppressed else "",
        litert_lm=_LITERT_LM if manifest["litert_lm"] else "",
        tuned=_TUNED.format(**manifest["model"]["tuning"]) if "tuning" in manifest["model"] else "",
        refused=_REFUSED.format(", ".join(manifest["failed_gates"])) if manifest["failed_gates"] else "",
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}"))


def _use(models: Mapping[str, Any]) -> str:
    use = _TEXT_USE if "autocomplete.tflite" in models else _TOKENS_USE
    return use + (_PORTABLE_USE if PORTABLE in models else "")


def _measured(manifest: Mapping[str, Any]) -> Iterator[str]:
    """A row for each figure that was measured, with its standard error where it has one."""
    for name, part, key, unit in _ROWS:
        value, error = (manifest[part].get(k) for k in (key, f"{key}_stderr"))
        if value is not None:
            yield f"| {name} | {value}{f' ± {error}' if error is not None else ''}{unit} |"


def _row(path: str, model: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    fits = [name for name, checked in manifest["targets"][path].items() if checked["fits"]]
    return f"| `{path}` | {model['runtime']} | {', '.join(fits) or '–'} | {manifest['files'][path]['bytes']:,} |"
