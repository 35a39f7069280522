"""What stages hand on: the records of their JSON files, read, checked and written here alone.

A number that was not measured is null. The published schema of manifest.json is generated from `Manifest`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import ConfigDict, Field, create_model

from autocomplete.common import metrics
from autocomplete.common.records import Count, Inside, NonNegative, Record, Sha256, Text, TfliteFile, TokenId

MODEL, CONVERSION, RECIPE = "model.json", "convert.json", "recipe.json"
METRICS, PERFORMANCE, TARGETS, GATES = "metrics.json", "performance.json", "targets.json", "gates.json"
MANIFEST, SCHEMA_VERSION = "manifest.json", 3

# As ai-edge-quantizer takes and gives it: its keys are that package's.
Recipe = list[dict[str, Any]]


class Tuning(Record):
    """How a preset was tuned on a text of its user's own."""

    model_config = ConfigDict(extra="allow")

    method: Literal["full", "lora"]
    preset_sha256: str
    """over names and hashes of the preset's files"""
    text_sha256: Sha256
    """of the passages, as masked and split"""
    steps_made: Count
    held_out_perplexity_before: Annotated[float, Field(ge=1)]
    held_out_perplexity_after: Annotated[float, Field(ge=1)]


class ModelDescription(Record):
    """model.json: the preset that the models were made from, and its licence."""

    family: str
    parameters: Count
    vocabulary: Count
    context_length: Count
    pre_tokenizer: str
    """how a text is cut into words before bytes are merged"""
    add_start_token: bool
    start_token_id: TokenId | None
    end_token_id: TokenId
    end_token_ids: Annotated[list[TokenId], Field(min_length=1)]
    """each ends a text"""
    pad_token_id: TokenId | None
    special_token_ids: list[TokenId]
    """stand for no text"""
    source: str
    source_name: str | None
    """as the model's file says itself"""
    source_license: str | None
    """likewise"""
    converted_from: str | None
    """a format that is not KerasHub's"""
    license: str | None
    source_revision: str | None = None
    """a hub's commit or version"""
    source_sha256: str | None = None
    """over names and hashes of the preset's files"""
    tuning: Tuning | None = None

    @property
    def start(self) -> int | None:
        """The id that stands before every text, None where none does."""
        return self.start_token_id if self.add_start_token else None


class Conversion(Record):
    """convert.json: the lengths and rules that the graphs were made with; in tokens where no unit is named."""

    sequence_length: Count
    context_window: Count
    sampler: Literal["greedy", "top_k", "top_p", "temperature"]
    prefill_lengths: list[Count]
    cache_length: Count
    max_output_bytes: Count
    top_k: int
    top_p: float
    temperature: float
    seed: int | None
    suppress_tokens: list[TokenId]
    guessed_tokens: int
    complete_word: bool
    portable_prompt_bytes: Count
    layers: Count


class ModeRecipe(Record):
    """recipe.json: how a mode was quantized."""

    mode: str
    calibration_text: str
    recipe: Recipe
    text_recipe: Recipe | None
    """of the core inside autocomplete.tflite, where it has another"""
    text: bool
    """whether the mode has autocomplete.tflite"""
    calibration: dict[str, int] | None
    further: dict[str, Any] | None


class WordFilter(Record):
    """The word lists that answers were filtered by, and what was asked, each up to `tries` times."""

    package: str
    version: str
    languages: Annotated[list[str], Field(min_length=1)]
    tries: Count
    seed: NonNegative
    provoked_prompts: Count
    ordinary_prompts: Count


class _Measured(Record):
    def value(self, metric: str) -> float | None:
        """A metric by its key; a contract's is 1 where all of its rules hold, else 0."""
        found = getattr(self, metric)
        return float(all(found.values())) if isinstance(found, dict) else found


class _Metrics(_Measured):
    mode: str
    filter: WordFilter
    android_contract: dict[str, bool] | None
    portable_contract: dict[str, bool] | None


class _Performance(_Measured):
    threads: Count
    size_bytes: dict[TfliteFile, int]
    runtime: dict[str, str]
    machine: dict[str, str | int | float | None]


_R = TypeVar("_R", bound=_Measured)


def _with_metrics(name: str, base: type[_R], registry: Mapping[str, metrics.Metric], doc: str) -> type[_R]:
    """A record that also has each metric of a registry, and its standard error where there is one."""
    keys = [k for m in registry.values() for k in (m.key, *([f"{m.key}_stderr"] if m.stderr else []))]
    fields: dict[str, Any] = {key: (float | None, None) for key in keys if key not in base.model_fields}
    return cast(type[_R], create_model(name, __base__=base, __doc__=doc, **fields))


Metrics = _with_metrics("Metrics", _Metrics, metrics.QUALITY, "metrics.json: quality of the shipped files.")
Performance = _with_metrics(
    "Performance", _Performance, metrics.PERFORMANCE, "performance.json: speed, memory and sizes on one machine."
)


class GateResult(Record):
    """A gate, its threshold, the value and whether it passed."""

    name: str
    threshold: str
    value: float
    passed: bool


class Gates(Record):
    """gates.json: the gates that a mode was judged by."""

    mode: str
    gates: list[GateResult]

    @property
    def failed(self) -> list[GateResult]:
        """Those that did not pass."""
        return [gate for gate in self.gates if not gate.passed]


class TargetFit(Record):
    """Whether a file fits a runtime, the first thing that does not, and whether a run tells more than the file."""

    fits: bool
    offence: str | None
    run: bool


Targets = dict[TfliteFile, dict[str, TargetFit]]


class JudgedMetrics(Metrics):  # type: ignore[valid-type, misc]
    """Quality of the shipped files, and the gates that judged it."""

    gates: list[GateResult]


class Release(Record):
    """What `release` stamped onto the bundle."""

    version: Text
    """semantic"""
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$")]
    """the git commit that the bundle was made from"""


class Range(Record):
    """What an app may choose."""

    minimum: Count
    default: Count
    maximum: Count


class ContextWindow(Record):
    """How much of the text typed so far an app hands over."""

    tokens: Range
    words: Range


class Lengths(Record):
    """In tokens; max_output_bytes and portable_prompt_bytes in bytes."""

    sequence_length: Count
    context_window: Count
    cache_length: Count
    max_output_bytes: Count
    portable_prompt_bytes: Count | None = None
    """null where there is no portable.tflite"""


class Sampler(Record):
    """The sampler of autocomplete.tflite."""

    sampler: Literal["greedy", "top_k", "top_p", "temperature"]
    top_k: int
    top_p: float
    temperature: float
    seed: int | None


class Tensor(Record):
    """A tensor of a signature."""

    shape: list[int]
    type: str


class Signature(Record):
    """What a signature takes and gives, by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class TfliteModel(Record):
    """A .tflite file: signatures with names, shapes and types; operators; runtime."""

    signatures: Annotated[dict[str, Signature], Field(min_length=1)]
    builtin_operators: list[str]
    select_tf_operators: list[str]
    custom_operators: list[str]
    runtime: str


class LitertLm(Record):
    """What autocomplete.litertlm tells LiteRT-LM."""

    max_num_tokens: Count
    start_token_id: TokenId | None
    stop_token_ids: list[TokenId]
    suppress_token_ids: list[TokenId]


class BundleFile(Record):
    """Hash and size of a file."""

    sha256: Sha256
    bytes: NonNegative


class Manifest(Record):
    """What a bundle holds, what its models take and give, and what was measured."""

    schema_version: Literal[3]
    name: Text
    title: str
    language: str
    """of the text, as BCP 47 has it"""
    release: Release | None
    mode: Annotated[str, Field(pattern="^[a-z0-9_]+$")]
    """of quantization"""
    model: ModelDescription
    lengths: Lengths
    context_window: ContextWindow
    sampler: Sampler
    suppress_tokens: list[TokenId]
    """ids that no model but core.tflite ever says"""
    complete_word: bool
    """whether autocomplete.tflite completes a word that the prompt ends in, and tokens.tflite has the input
    complete_word; portable.tflite always has it"""
    models: dict[TfliteFile, TfliteModel]
    litert_lm: LitertLm | None
    """null where there is no such file"""
    recipe: Recipe
    text_recipe: Recipe | None
    """of the core inside autocomplete.tflite, where it has another"""
    metrics: JudgedMetrics
    performance: Performance  # type: ignore[valid-type]
    targets: Targets
    """for each .tflite file the runtimes that it fits, and otherwise the first thing that does not"""
    failed_gates: list[str]
    versions: dict[str, str]
    files: Annotated[dict[Inside, BundleFile], Field(min_length=1)]
    """every file but this one and SHA256SUMS, by its path in the bundle"""
