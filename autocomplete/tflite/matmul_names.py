"""The matrix products of a core, by names that say of which weight and layer they are: `decode/layer_0_qkv`.

The quantizer's recipes choose operators by the names of their results, and calibration and reports speak of them too.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from autocomplete.tflite import edit

WEIGHT = "weight_"  # what the names of a core's weights begin with, behind their signature's
LOGITS = "logits"
_ATTENDED = "attention_output"
_WEIGHTED = ("FULLY_CONNECTED", "EMBEDDING_LOOKUP")


@dataclass(frozen=True)
class Product:
    """A product in a signature: its role, the same in every signature, and the names of its activations in order.

    Roles: the weight's name, `logits` of the head; `layer_<i>_scores` and `layer_<i>_mix` of attention, numbered where
    a signature has several.
    """

    signature: str
    role: str
    activations: tuple[str, ...]

    @property
    def whole(self) -> str:
        """The role of the product that this one is a part of."""
        return re.sub(r"(scores|mix)_\d+$", r"\1", self.role)


def name_results(model: schema.ModelT) -> None:
    """Names the result of each product `<signature>/<role>`, in place."""
    for subgraph, operator, name in _found(model):
        subgraph.tensors[int(operator.outputs[0])].name = name


def products(model: schema.ModelT) -> Iterator[Product]:
    """The products of a model whose results are named, embedding lookups left out."""
    kinds = edit.operator_names(model)
    for subgraph, operator, name in _found(model):
        kind = kinds[operator.opcodeIndex]
        if kind == "EMBEDDING_LOOKUP":
            continue
        read = operator.inputs[:1] if kind == "FULLY_CONNECTED" else operator.inputs[:2]
        names = (edit.text(subgraph.tensors[int(i)].name) for i in (*read, operator.outputs[0]))
        signature, _, role = name.partition("/")
        yield Product(signature, role, tuple(names))


def roles(model: schema.ModelT, signature: str) -> list[str]:
    """The roles of a signature's products in the order of its graph, the embedding's lookup too."""
    names = (name.partition("/") for _, _, name in _found(model))
    return [role for key, _, role in names if key == signature]


def weights(model: schema.ModelT, signature: str) -> list[str]:
    """Of a signature's roles those with a weight of their own; the embedding is the head's as well."""
    without = re.compile(rf"{LOGITS}|embedding|.*_(scores|mix)(_\d+)?")
    return [role for role in roles(model, signature) if not without.fullmatch(role)]


def restricted(recipe: Sequence[Mapping[str, Any]], roles: Collection[str]) -> list[dict[str, Any]]:
    """The recipe for some roles' products alone: the quantizer matches results' names, a semicolon behind each."""
    only = rf"^(?=.*/({'|'.join(sorted(roles))});)"
    return [{**entry, "regex": f"{only}.*(?:{entry['regex']})"} for entry in recipe]


def _found(model: schema.ModelT) -> Iterator[tuple[schema.SubGraphT, schema.OperatorT, str]]:
    """Each product with its subgraph and name."""
    kinds = edit.operator_names(model)
    for subgraph in model.subgraphs:
        waiting: list[schema.OperatorT] = []  # attention's products, until the weight is met that multiplies its result
        for operator in subgraph.operators:
            kind = kinds[operator.opcodeIndex]
            if kind == "BATCH_MATMUL":
                waiting.append(operator)
            if kind not in _WEIGHTED:
                continue
            weight = edit.text(subgraph.tensors[int(operator.inputs[1])].name)
            name = weight.replace(f"/{WEIGHT}", "/")
            if name.endswith(_ATTENDED):
                layer = name.removesuffix(_ATTENDED)
                yield from ((subgraph, o, layer + role) for o, role in zip(waiting, _roles(len(waiting)), strict=True))
                waiting = []
            head = kind == "FULLY_CONNECTED" and name.endswith("/embedding")
            yield subgraph, operator, name.replace("/embedding", f"/{LOGITS}") if head else name


def _roles(count: int) -> list[str]:
    """Scores come before mixes, as many of the one as of the other: one for each part of the cache."""
    parts = [""] if count == 2 else [f"_{i}" for i in range(count // 2)]
    return [f"{role}{part}" for role in ("scores", "mix") for part in parts]
