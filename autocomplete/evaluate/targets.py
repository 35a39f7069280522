"""Which runtimes a file fits, by the rules of targets.yaml, and the first operator or tensor that does not fit."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.artifacts import TargetFit
from autocomplete.common.errors import UserError
from autocomplete.tflite import edit, flatbuffer

_RULES = Path(__file__).with_name("targets.yaml")
_BUFFERS_BY_OFFSET = "buffers_by_offset"


@dataclass(frozen=True)
class Target:
    """A runtime that apps use.

    Attributes:
      what: its name and version in words.
      run: the test of this project that runs files there; None where there is none.
      rules: the rules that a file must keep, with their values; targets.yaml says what each means.
    """

    what: str
    run: str | None
    rules: Mapping[str, bool | list[str] | dict[str, int]]


def check(path: Path) -> dict[str, TargetFit]:
    """For each target: whether the file fits, the first offence if not, and whether the project runs files there."""
    model, inline = flatbuffer.read(path), flatbuffer.buffers_inline(path)
    fits = {}
    for name, target in targets().items():
        by_offset = target.rules.get(_BUFFERS_BY_OFFSET, True)
        offence = None if inline or by_offset else "buffers lie behind the flatbuffer"
        offence = offence or next(_offences(model, target), None)
        fits[name] = TargetFit(fits=offence is None, offence=offence, run=target.run is not None)
    return fits


@functools.cache
def targets() -> dict[str, Target]:
    """The targets of targets.yaml by name.

    Raises:
      UserError: for a rule without a check.
    """
    content = yaml.safe_load(_RULES.read_text())
    allowed = {"what", "run", _BUFFERS_BY_OFFSET, *_CHECKS}
    for name, entry in content.items():
        if unknown := set(entry) - allowed:
            raise UserError(
                f"{_RULES.name}: {name} has no rule {min(unknown)!r}; allowed: {', '.join(sorted(allowed))}"
            )
    return {name: Target(entry.pop("what"), entry.pop("run"), entry) for name, entry in content.items()}


def _offences(model: schema.ModelT, target: Target) -> Iterator[str]:
    """What breaks a target's rules; `true` allows everything."""
    for rule, offences in _CHECKS.items():
        value = target.rules.get(rule, True)
        if value is not True:
            yield from offences(model, value)


def _operators(model: schema.ModelT) -> Iterator[tuple[str, schema.SubGraphT, schema.OperatorT]]:
    """Each operator with its name and its subgraph."""
    names = edit.operator_names(model)
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            yield names[operator.opcodeIndex], subgraph, operator


def _result_name(subgraph: schema.SubGraphT, operator: schema.OperatorT) -> str:
    return edit.text(subgraph.tensors[int(operator.outputs[0])].name) if len(operator.outputs) else "nothing"


def _signatures(model: schema.ModelT, required: list[str]) -> Iterator[str]:
    names = [edit.text(s.signatureKey) for s in model.signatureDefs or []]
    yield from (f"no signature {r}" for r in required if not any(fnmatch(name, r) for name in names))


def _select_tf(model: schema.ModelT, _: bool) -> Iterator[str]:
    yield from (f"operator {n}, {_result_name(s, o)}" for n, s, o in _of_kind(model, edit.SELECT_TF))


def _custom(model: schema.ModelT, _: bool) -> Iterator[str]:
    yield from (f"custom operator {n}, {_result_name(s, o)}" for n, s, o in _of_kind(model, edit.CUSTOM))


def _of_kind(model: schema.ModelT, kind: str) -> Iterator[tuple[str, schema.SubGraphT, schema.OperatorT]]:
    return (entry for entry in _operators(model) if edit.operator_kind(entry[0]) == kind)


def _allowed_operators(model: schema.ModelT, allowed: list[str]) -> Iterator[str]:
    yield from (f"operator {n}, {_result_name(s, o)}" for n, s, o in _operators(model) if n not in allowed)


def _operator_versions(model: schema.ModelT, highest: dict[str, int]) -> Iterator[str]:
    for name, subgraph, operator in _operators(model):
        version = model.operatorCodes[operator.opcodeIndex].version
        if version > highest.get(name, version):
            yield f"operator {name} of version {version}, {_result_name(subgraph, operator)}"


def _growing_loops(model: schema.ModelT, _: bool) -> Iterator[str]:
    """Tensors of a KV cache that grows; a loop's body is a subgraph without a signature."""
    with_signature = {s.subgraphIndex for s in model.signatureDefs or []}
    for index, subgraph in enumerate(model.subgraphs):
        for tensor in subgraph.tensors if index not in with_signature else []:
            if tensor.shapeSignature is not None and -1 in list(tensor.shapeSignature) and _is_cache(tensor):
                yield f"tensor {edit.text(tensor.name)} changes its shape in a loop"


def _is_cache(tensor: schema.TensorT) -> bool:
    """Whether it holds numbers in several dimensions; strings and index vectors of unknown length do no harm."""
    return tensor.type == schema.TensorType.FLOAT32 and len(tensor.shapeSignature) > 2


def _blockwise(model: schema.ModelT, _: bool) -> Iterator[str]:
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.quantization is not None and tensor.quantization.details is not None:
                yield f"tensor {edit.text(tensor.name)} is quantized in blocks"


def _per_channel_products(model: schema.ModelT, _: bool) -> Iterator[str]:
    for name, subgraph, operator in _operators(model):
        for tensor in (subgraph.tensors[int(i)] for i in operator.inputs if i >= 0 and name != "DEQUANTIZE"):
            if edit.per_channel(tensor):
                yield f"tensor {edit.text(tensor.name)} has a scale for each row"


def _tensor_types(model: schema.ModelT, allowed: list[str]) -> Iterator[str]:
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            if edit.type_name(tensor) not in allowed:
                yield f"tensor {edit.text(tensor.name)} is {edit.type_name(tensor)}"


def _input_types(model: schema.ModelT, allowed: list[str]) -> Iterator[str]:
    for signature in model.signatureDefs or []:
        for entry in signature.inputs:
            type_name = edit.type_name(model.subgraphs[signature.subgraphIndex].tensors[entry.tensorIndex])
            if type_name not in allowed:
                yield f"input {edit.text(entry.name)} is {type_name}"


# (model, the rule's value) → what breaks the rule
_CHECKS: dict[str, Callable[[schema.ModelT, Any], Iterator[str]]] = {
    "signatures": _signatures,
    "select_tf": _select_tf,
    "custom_operators": _custom,
    "operators": _allowed_operators,
    "versions": _operator_versions,
    "growing_loops": _growing_loops,
    "blockwise": _blockwise,
    "per_channel_products": _per_channel_products,
    "types": _tensor_types,
    "input_types": _input_types,
}
