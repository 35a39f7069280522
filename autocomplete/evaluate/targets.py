"""Which runtimes a file fits, by the rules of targets.yaml; where not, the first operator or tensor that does not."""

import functools
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.artifacts import TargetFit
from autocomplete.common.errors import UserError
from autocomplete.tflite import edit, flatbuffer

_RULES = Path(__file__).with_name("targets.yaml")


def check(path: Path) -> dict[str, TargetFit]:
    """For each target: whether the file fits, the first offence if not, and whether the project runs files there."""
    model, inline = flatbuffer.read(path), flatbuffer.buffers_inline(path)
    checked = {}
    for name, rules in targets().items():
        offence = None if inline or rules.get("buffers_by_offset", True) else "buffers lie behind the flatbuffer"
        offence = offence or next(_offences(model, rules), None)
        checked[name] = TargetFit(fits=offence is None, offence=offence, run=rules["run"] is not None)
    return checked


@functools.cache
def targets() -> dict[str, dict[str, Any]]:
    """The rules by target; raises UserError for a rule that is not known."""
    read: dict[str, dict[str, Any]] = yaml.safe_load(_RULES.read_text())
    known = {"what", "run", "buffers_by_offset", *_CHECKS}
    for name, rules in read.items():
        if unknown := set(rules) - known:
            raise UserError(f"{_RULES.name}: {name} has no rule {min(unknown)!r}; allowed: {', '.join(sorted(known))}")
    return read


def _offences(model: schema.ModelT, rules: dict[str, Any]) -> Iterator[str]:
    for rule, find in _CHECKS.items():
        if rule in rules and rules[rule] is not True:
            yield from find(model, rules[rule])


def _operators(model: schema.ModelT) -> Iterator[tuple[str, schema.SubGraphT, schema.OperatorT]]:
    names = edit.operator_names(model)
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            yield names[operator.opcodeIndex], subgraph, operator


def _result(subgraph: schema.SubGraphT, operator: schema.OperatorT) -> str:
    return edit.text(subgraph.tensors[int(operator.outputs[0])].name) if len(operator.outputs) else "nothing"


def _signatures(model: schema.ModelT, wanted: list[str]) -> Iterator[str]:
    there = [edit.text(s.signatureKey) for s in model.signatureDefs or []]
    yield from (f"no signature {w}" for w in wanted if not any(fnmatch(name, w) for name in there))


def _select_tf(model: schema.ModelT, _: bool) -> Iterator[str]:
    yield from (f"operator {n}, {_result(s, o)}" for n, s, o in _of_kind(model, edit.SELECT_TF))


def _custom(model: schema.ModelT, _: bool) -> Iterator[str]:
    yield from (f"custom operator {n}, {_result(s, o)}" for n, s, o in _of_kind(model, edit.CUSTOM))


def _of_kind(model: schema.ModelT, kind: str) -> Iterator[tuple[str, schema.SubGraphT, schema.OperatorT]]:
    return (found for found in _operators(model) if edit.operator_kind(found[0]) == kind)


def _listed(model: schema.ModelT, allowed: list[str]) -> Iterator[str]:
    yield from (f"operator {n}, {_result(s, o)}" for n, s, o in _operators(model) if n not in allowed)


def _versions(model: schema.ModelT, highest: dict[str, int]) -> Iterator[str]:
    for name, subgraph, operator in _operators(model):
        version = model.operatorCodes[operator.opcodeIndex].version
        if version > highest.get(name, version):
            yield f"operator {name} of version {version}, {_result(subgraph, operator)}"


def _growing(model: schema.ModelT, _: bool) -> Iterator[str]:
    """A loop's body is a subgraph without a signature."""
    named = {s.subgraphIndex for s in model.signatureDefs or []}
    for index, subgraph in enumerate(model.subgraphs):
        for tensor in subgraph.tensors if index not in named else []:
            if tensor.shapeSignature is not None and -1 in list(tensor.shapeSignature) and _in_cache(tensor):
                yield f"tensor {edit.text(tensor.name)} changes its shape in a loop"


def _in_cache(tensor: schema.TensorT) -> bool:
    """Numbers of several dimensions: strings and index vectors of unknown length are another matter."""
    return tensor.type == schema.TensorType.FLOAT32 and len(tensor.shapeSignature) > 2


def _blockwise(model: schema.ModelT, _: bool) -> Iterator[str]:
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.quantization is not None and tensor.quantization.details is not None:
                yield f"tensor {edit.text(tensor.name)} is quantized in blocks"


def _per_channel(model: schema.ModelT, _: bool) -> Iterator[str]:
    for name, subgraph, operator in _operators(model):
        for tensor in (subgraph.tensors[int(i)] for i in operator.inputs if i >= 0 and name != "DEQUANTIZE"):
            if edit.per_channel(tensor):
                yield f"tensor {edit.text(tensor.name)} has a scale for each row"


def _types(model: schema.ModelT, allowed: list[str]) -> Iterator[str]:
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            if edit.type_name(tensor) not in allowed:
                yield f"tensor {edit.text(tensor.name)} is {edit.type_name(tensor)}"


def _input_types(model: schema.ModelT, allowed: list[str]) -> Iterator[str]:
    for signature in model.signatureDefs or []:
        for entry in signature.inputs:
            kind = edit.type_name(model.subgraphs[signature.subgraphIndex].tensors[entry.tensorIndex])
            if kind not in allowed:
                yield f"input {edit.text(entry.name)} is {kind}"


_CHECKS: dict[str, Callable[[schema.ModelT, Any], Iterator[str]]] = {
    "signatures": _signatures,
    "select_tf": _select_tf,
    "custom_operators": _custom,
    "operators": _listed,
    "versions": _versions,
    "growing_loops": _growing,
    "blockwise": _blockwise,
    "per_channel_products": _per_channel,
    "types": _types,
    "input_types": _input_types,
}
