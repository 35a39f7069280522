"""The linker replaces each placeholder of a driver by the operators of a signature of the core.

A placeholder is a custom op. The driver's metadata say which signature it stands for, and name the signature's inputs
and outputs in the order of the op's.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.errors import UserError
from autocomplete.tflite import edit

CALLS = "core_calls"
# Operators that refer to other subgraphs by index: a core with them cannot be copied operator by operator.
_CONTROL_FLOW = {"IF", "WHILE", "CALL_ONCE", "STABLEHLO_COMPOSITE"}


@dataclass(frozen=True)
class SignatureCall:
    """What a placeholder stands for. The names of the fields are part of a driver's metadata.

    Attributes:
      signature: of the core.
      inputs: the signature's inputs, in the order of the placeholder's.
      outputs: the signature's outputs, in the order of the placeholder's.
      free: inputs of the signature that the placeholder lacks → their names as inputs of the linked signature.
    """

    signature: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    free: Mapping[str, str] = field(default_factory=dict)


def with_calls(driver: schema.ModelT, calls: Mapping[str, SignatureCall]) -> schema.ModelT:
    """Writes into a driver's metadata what its placeholders stand for, by the names of the custom ops."""
    return edit.with_metadata(driver, CALLS, json.dumps({k: vars(c) for k, c in calls.items()}).encode())


def _calls(driver: schema.ModelT) -> dict[str, SignatureCall]:
    entry = edit.metadata(driver, CALLS)
    if entry is None:
        raise UserError("the driver does not say what its placeholders stand for; run `dvc repro` to make it anew")
    return {name: SignatureCall(**call) for name, call in json.loads(entry).items()}


def called_by(driver: schema.ModelT) -> set[str]:
    """The core's signatures that a driver calls."""
    return {call.signature for call in _calls(driver).values()}


@dataclass(frozen=True)
class _Core:
    """The core inside the linked model.

    Attributes:
      model: the core.
      names: of its operator codes.
      buffers: index in the core → index in the linked model.
      codes: index of an operator code in the core → index in the linked model.
    """

    model: schema.ModelT
    names: list[str]
    buffers: list[int]
    codes: list[int]


def link(driver: schema.ModelT, core: schema.ModelT) -> schema.ModelT:
    """The driver with the core inside, quantized or not; neither argument is changed.

    Raises:
      UserError: if a signature, a name, a shape or a type does not fit.
    """
    calls = _calls(driver)
    linked = copy.copy(driver)
    linked.buffers, linked.operatorCodes = list(driver.buffers), list(driver.operatorCodes)
    linked.metadata = [copy.copy(m) for m in driver.metadata or []]
    names = edit.operator_names(driver)
    inner = _append(linked, core)
    linked.subgraphs = []
    linked.signatureDefs = [copy.copy(s) for s in driver.signatureDefs]
    for index, subgraph in enumerate(driver.subgraphs):
        host = copy.copy(subgraph)
        host.tensors, host.operators = [copy.copy(t) for t in subgraph.tensors], []
        free: dict[str, int] = {}
        for operator in subgraph.operators:
            call = calls.get(names[operator.opcodeIndex])
            host.operators += [operator] if call is None else _inline(host, operator, inner, call, free)
        linked.subgraphs.append(host)
        _add_inputs(linked, index, free)
    # A result that the driver does not read (logits of a chunk of the prompt) costs time, and XNNPACK of LiteRT 1.1 to
    # 2.0 aborts on the operators that make it.
    return edit.share_buffers(edit.with_metadata(edit.without_dead_operators(linked), CALLS, None))


def _append(linked: schema.ModelT, core: schema.ModelT) -> _Core:
    """Appends the core's buffers and operator codes to the linked model."""
    buffers = list(range(len(linked.buffers), len(linked.buffers) + len(core.buffers)))
    linked.buffers += core.buffers
    codes = list(range(len(linked.operatorCodes), len(linked.operatorCodes) + len(core.operatorCodes)))
    linked.operatorCodes += [copy.copy(c) for c in core.operatorCodes]
    return _Core(core, edit.operator_names(core), buffers, codes)


def _add_inputs(linked: schema.ModelT, index: int, free: Mapping[str, int]) -> None:
    """Makes tensors of a subgraph inputs of the subgraph and its signature, by name."""
    host = linked.subgraphs[index]
    host.inputs = [*host.inputs, *free.values()]
    for signature in linked.signatureDefs:
        if signature.subgraphIndex == index:
            signature.inputs = [*signature.inputs, *(_entry(n, t) for n, t in free.items())]


def _entry(name: str, tensor: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, tensor
    return entry


def _inline(
    host: schema.SubGraphT, operator: schema.OperatorT, core: _Core, call: SignatureCall, free: dict[str, int]
) -> list[schema.OperatorT]:
    """The operators of a signature, for the tensors of the host.

    It appends the tensors that the operators need to the host, and adds the free inputs to `free`.
    """
    signature = edit.signature(core.model, call.signature)
    subgraph = core.model.subgraphs[signature.subgraphIndex]
    tensors: dict[int, int] = {-1: -1}  # -1 is an optional operand that is absent
    for names, entries, outer in (
        (call.inputs, signature.inputs, operator.inputs),
        (call.outputs, signature.outputs, operator.outputs),
    ):
        inner = {edit.text(e.name): int(e.tensorIndex) for e in entries}
        if set(inner) - set(call.free) != set(names):
            raise UserError(f"the driver expects {sorted(names)}, the core has {sorted(inner)}; run `dvc repro`")
        for name, index in zip(names, outer, strict=True):
            _check_fit(name, host.tensors[int(index)], subgraph.tensors[inner[name]])
            tensors[inner[name]] = int(index)
    added = [i for i in range(len(subgraph.tensors)) if i not in tensors]
    tensors |= {old: len(host.tensors) + new for new, old in enumerate(added)}
    prefix = f"{call.signature}/{len(host.tensors)}/"  # litert-quantizer needs unique names of tensors
    host.tensors += [_moved_tensor(subgraph.tensors[old], core, tensors, prefix) for old in added]
    inputs = {edit.text(e.name): int(e.tensorIndex) for e in signature.inputs}
    free |= {outer: tensors[inputs[name]] for name, outer in call.free.items()}
    return [_moved_operator(o, core, tensors) for o in subgraph.operators]


def _moved_operator(operator: schema.OperatorT, core: _Core, tensors: Mapping[int, int]) -> schema.OperatorT:
    name = core.names[operator.opcodeIndex]
    if name in _CONTROL_FLOW:
        raise UserError(f"a core with the operator {name} cannot be linked: it refers to other subgraphs")
    new = copy.copy(operator)
    new.opcodeIndex = core.codes[operator.opcodeIndex]
    new.inputs = [tensors[int(i)] for i in operator.inputs]
    new.outputs = [tensors[int(i)] for i in operator.outputs]
    new.intermediates = [tensors[int(i)] for i in operator.intermediates] if _any(operator.intermediates) else None
    return new


def _check_fit(name: str, outer: schema.TensorT, inner: schema.TensorT) -> None:
    outside, inside = (list(map(int, t.shape)) if _any(t.shape) else [] for t in (outer, inner))
    if outer.type != inner.type or outside != inside:
        raise UserError(
            f"tensor {name!r}: the driver has type {outer.type} {outside}, the core type {inner.type} {inside}; "
            "both must come from the same convert; run `dvc repro`"
        )


def _moved_tensor(tensor: schema.TensorT, core: _Core, tensors: Mapping[int, int], prefix: str) -> schema.TensorT:
    new = copy.copy(tensor)
    new.name = prefix + edit.text(tensor.name)
    new.buffer = core.buffers[tensor.buffer]
    details = tensor.quantization.details if tensor.quantization else None
    if isinstance(details, schema.BlockwiseQuantizationT):
        # scales and zero points are tensors of the subgraph, by index
        new.quantization = copy.copy(tensor.quantization)
        new.quantization.details = copy.copy(details)
        new.quantization.details.scales = tensors[details.scales]
        new.quantization.details.zeroPoints = (
            tensors[details.zeroPoints] if details.zeroPoints > 0 else details.zeroPoints
        )
    return new


def _any(values: Any) -> bool:
    return values is not None and len(values) > 0
