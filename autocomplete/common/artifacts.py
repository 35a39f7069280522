"""The records that stages hand on as JSON files; only this module reads, checks and writes them.

A number that was not measured is null. The records that a bundle publishes are in bundle/contract.py.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from autocomplete.common import metrics
from autocomplete.common.json_files import JsonObject
from autocomplete.common.records import Count, NonNegative, Record, Sha256, TfliteFile, TokenId

MODEL, CONVERSION, RECIPE = "model.json", "convert.json", "recipe.json"
REFERENCE = "reference.json"
METRICS, PERFORMANCE, TARGETS, GATES = "metrics.json", "performance.json", "targets.json", "gates.json"

# In litert-quantizer's form.
Recipe = list[JsonObject]
# A machine that timings were taken on, by what is said of it.
Machine = dict[str, str | int | float | None]


class Tuning(Record):
    """How a preset was tuned on its user's own text."""

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
    pre_tokenizer: str = ""
    """how a text is cut into words before bytes are merged"""
    add_start_token: bool
    start_token_id: TokenId | None
    end_token_id: TokenId
    end_token_ids: list[TokenId] = Field(default_factory=list)
    """each ends a text"""
    pad_token_id: TokenId | None = None
    special_token_ids: list[TokenId] = Field(default_factory=list)
    """stand for no text"""
    source: str
    source_name: str | None = None
    """as the model's own file has it"""
    source_license: str | None = None
    """likewise"""
    converted_from: str | None = None
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
    draft_tokens: int
    complete_word: bool
    portable_prompt_bytes: Count
    layers: Count


class Calibration(Record):
    """How much of calibration_text a recipe was calibrated with, and the seed that drew it."""

    sequences: Count
    seed: int


class ExtraRecipe(Record):
    """Entries that quantize some matrices further, and the size of the core to reach by them."""

    recipe: Recipe
    size: float
    """share of the core's size without them"""


class ModeRecipe(Record):
    """recipe.json: how a mode was quantized."""

    mode: str
    calibration_text: str
    recipe: Recipe
    text_recipe: Recipe | None
    """of the core inside autocomplete.tflite, where it has another"""
    text: bool
    """whether the mode has autocomplete.tflite"""
    calibration: Calibration | None
    extra_recipe: ExtraRecipe | None


class Reference(Record):
    """reference.json: what is measured once for all modes, and what they are compared with."""

    values: dict[str, float | None]
    """metrics that no mode changes, by key"""
    prompts: list[str]
    """ordinary beginnings of texts"""
    continuations: list[list[TokenId]]
    """what greedy decoding by Keras adds to each prompt"""


class WordFilter(Record):
    """The word lists that answers were filtered by, and the numbers of prompts, each asked up to `tries` times."""

    package: str
    version: str
    languages: Annotated[list[str], Field(min_length=1)]
    tries: Count
    seed: NonNegative
    provoked_prompts: Count
    ordinary_prompts: Count


class _Measured(Record):
    """A record whose other keys are metrics of a registry and their standard errors; null where not measured."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]
    registry: ClassVar[Mapping[str, metrics.Metric]]

    @classmethod
    def numbers(cls) -> dict[str, str]:
        """The metrics that are numbers, and their standard errors: key → label."""
        listed = {key: m for key, m in cls.registry.items() if key not in cls.model_fields}
        errors = {f"{key}_stderr": f"standard error of {key}" for key, m in listed.items() if m.stderr}
        return {key: m.label for key, m in listed.items()} | errors

    @model_validator(mode="after")
    def _refuse_unknown(self) -> Self:
        if unknown := set(self.__pydantic_extra__) - self.numbers().keys():
            raise ValueError(f"no metric {min(unknown)!r}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Names each metric, and allows no others."""
        described = handler.resolve_ref_schema(handler(core_schema))
        number = {"type": ["number", "null"]}
        described["properties"] |= {key: number | {"description": label} for key, label in cls.numbers().items()}
        return described | {"additionalProperties": False}

    def value(self, metric: str) -> float | None:
        """A metric by its key; that of a contract is 1 if all of its rules hold, else 0."""
        if metric in type(self).model_fields:
            rules: dict[str, bool] | None = getattr(self, metric)
            return None if rules is None else float(all(rules.values()))
        return self.__pydantic_extra__.get(metric)


class Metrics(_Measured):
    """metrics.json: quality of the shipped files."""

    registry = metrics.QUALITY

    mode: str
    filter: WordFilter
    android_contract: dict[str, bool] | None
    """null for a mode without autocomplete.tflite"""
    portable_contract: dict[str, bool] | None
    """null for a mode without portable.tflite"""


class Performance(_Measured):
    """performance.json: speed, memory and sizes on one machine."""

    registry = metrics.PERFORMANCE

    threads: Count
    size_bytes: dict[TfliteFile, int]
    runtime: dict[str, str]
    """versions of the packages that ran the files"""
    machine: Machine


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
        """The gates that did not pass."""
        return [gate for gate in self.gates if not gate.passed]


class TargetFit(Record):
    """Whether a file fits a runtime, the first operator or tensor that does not, and whether tests run files there."""

    fits: bool
    offence: str | None
    run: bool


Targets = dict[TfliteFile, dict[str, TargetFit]]


class FileTargets(Record):
    """targets.json: the runtimes that each .tflite file of a mode fits."""

    targets: Targets
