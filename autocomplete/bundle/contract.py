"""The contract of a bundle: the record of manifest.json, of which the published JSON schema is generated."""

import json
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from pydantic.json_schema import JsonSchemaValue

from autocomplete.common.artifacts import GateResult, Metrics, ModelDescription, Performance, Recipe, Targets
from autocomplete.common.records import Count, Inside, NonNegative, Record, Sha256, Text, TfliteFile, TokenId

FILE = "manifest.json"
SCHEMA_VERSION: Final = 3


class JudgedMetrics(Metrics):
    """Quality of the shipped files, and the gates that judged it."""

    gates: list[GateResult]


class Release(Record):
    """What `release` stamped onto the bundle."""

    version: Text
    """semantic"""
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$")]
    """the git commit that the bundle was made from"""


class Range(Record):
    """The numbers that an app may choose from."""

    minimum: Count
    default: Count
    maximum: Count


class ContextWindow(Record):
    """How much of the text typed so far an app gives to a model."""

    tokens: Range
    words: Range


class Lengths(Record):
    """Lengths in tokens; max_output_bytes and portable_prompt_bytes in bytes."""

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
    """The inputs and outputs of a signature, by name."""

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
    """The settings of LiteRT-LM that autocomplete.litertlm holds."""

    max_num_tokens: Count
    start_token_id: TokenId | None
    stop_token_ids: list[TokenId]
    suppress_token_ids: list[TokenId]


class BundleFile(Record):
    """Hash and size of a file."""

    sha256: Sha256
    bytes: NonNegative


def _with_core_and_tokens(models: dict[str, TfliteModel]) -> dict[str, TfliteModel]:
    if missing := {"core.tflite", "tokens.tflite"} - models.keys():
        raise ValueError(f"{min(missing)} is missing")
    return models


class Manifest(Record):
    """What a bundle holds, the interface of its models, and what was measured."""

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
    """ids that no model but core.tflite ever generates"""
    complete_word: bool
    """whether autocomplete.tflite completes a word that the prompt ends in, and tokens.tflite has the input
    complete_word; portable.tflite always has it"""
    models: Annotated[dict[TfliteFile, TfliteModel], AfterValidator(_with_core_and_tokens)]
    litert_lm: LitertLm | None
    """null where there is no such file"""
    recipe: Recipe
    text_recipe: Recipe | None
    """of the core inside autocomplete.tflite, where it has another"""
    metrics: JudgedMetrics
    performance: Performance
    targets: Targets
    """for each .tflite file the runtimes that it fits, or else the first operator or tensor that does not fit"""
    failed_gates: list[str]
    versions: dict[str, str]
    files: Annotated[dict[Inside, BundleFile], Field(min_length=1)]
    """every file but this one and SHA256SUMS, by its path in the bundle"""


def schema() -> bytes:
    """The JSON schema of manifest.json, as a bundle holds it."""
    described: JsonSchemaValue = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    described |= Manifest.model_json_schema() | {"title": "manifest.json of an autocomplete bundle"}
    return (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    # python -m autocomplete.bundle.contract > autocomplete/bundle/manifest.schema.json
    print(schema().decode(), end="")
