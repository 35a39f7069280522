"""Names the matrix products of a core by the weight and the layer that they belong to: `decode/layer_0_qkv`.

The quantizer's recipes select operators by the names of their results. Calibration and reports use the names too.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.artifacts import Recipe
from autocomplete.tflite import edit

WEIGHT = "weight_"  # prefix of the names of weights, behind the signature's
LOGITS = "logits"
_ATTENTION_OUTPUT = "attention_output"
_WITH_WEIGHT = ("FULLY_CONNECTED", "EMBEDDING_LOOKUP")


@dataclass(frozen=True)
class MatMul:
    """A matrix product of a signature.

    Attributes:
      signature: its name.
      role: the same in every signature: the name of the weight; `logits` for the head; `layer_<i>_scores` and
        `layer_<i>_mix` for attention, numbered if a signature has several.
      activations: the names of its activations: inputs that are no weight, then the result.
    """

    signature: str
    role: str
    activations: tuple[str, ...]

    @property
    def unnumbered_role(self) -> str:
        """The role without the number of a part of attention."""
        return re.sub(r"(scores|mix)_\d+$", r"\1", self.role)


def name_results(model: schema.ModelT) -> None:
    """Names the result of each product `<signature>/<role>`, in place."""
    for subgraph, operator, name in _named_operators(model):
        subgraph.tensors[int(operator.outputs[0])].name = name


def matmuls(model: schema.ModelT) -> Iterator[MatMul]:
    """The products of a model whose results are named, without embedding lookups."""
    kinds = edit.operator_names(model)
    for subgraph, operator, name in _named_operators(model):
        kind = kinds[operator.opcodeIndex]
        if kind == "EMBEDDING_LOOKUP":
            continue
        inputs = operator.inputs[:1] if kind == "FULLY_CONNECTED" else operator.inputs[:2]
        names = (edit.text(subgraph.tensors[int(i)].name) for i in (*inputs, operator.outputs[0]))
        signature, _, role = name.partition("/")
        yield MatMul(signature, role, tuple(names))


def roles(model: schema.ModelT, signature: str) -> list[str]:
    """The roles of a signature's products in the order of its graph, with the embedding lookups."""
    names = (name.partition("/") for _, _, name in _named_operators(model))
    return [role for key, _, role in names if key == signature]


def weight_roles(model: schema.ModelT, signature: str) -> list[str]:
    """The roles of a signature that have a weight of their own; the embedding table may also be the head."""
    without_weight = re.compile(rf"{LOGITS}|embedding|.*_(scores|mix)(_\d+)?")
    return [role for role in roles(model, signature) if not without_weight.fullmatch(role)]


def restrict_recipe(recipe: Recipe, roles: Collection[str]) -> Recipe:
    """The recipe for some roles only: the quantizer matches the names of results, with a semicolon behind each."""
    only = rf"^(?=.*/({'|'.join(sorted(roles))});)"
    return [{**entry, "regex": f"{only}.*(?:{entry['regex']})"} for entry in recipe]


def _named_operators(model: schema.ModelT) -> Iterator[tuple[schema.SubGraphT, schema.OperatorT, str]]:
    """Each product with its subgraph and name."""
    kinds = edit.operator_names(model)
    for subgraph in model.subgraphs:
        # attention's products so far; the weight that multiplies their result will name them
        unnamed: list[schema.OperatorT] = []
        for operator in subgraph.operators:
            kind = kinds[operator.opcodeIndex]
            if kind == "BATCH_MATMUL":
                unnamed.append(operator)
            if kind not in _WITH_WEIGHT:
                continue
            weight = edit.text(subgraph.tensors[int(operator.inputs[1])].name)
            name = weight.replace(f"/{WEIGHT}", "/")
            if name.endswith(_ATTENTION_OUTPUT):
                layer, roles = name.removesuffix(_ATTENTION_OUTPUT), _attention_roles(len(unnamed))
                yield from ((subgraph, o, layer + role) for o, role in zip(unnamed, roles, strict=True))
                unnamed = []
            is_head = kind == "FULLY_CONNECTED" and name.endswith("/embedding")
            yield subgraph, operator, name.replace("/embedding", f"/{LOGITS}") if is_head else name


def _attention_roles(count: int) -> list[str]:
    """The roles of attention's products in order: one of scores for each part of the cache, then as many mixes."""
    suffixes = [""] if count == 2 else [f"_{i}" for i in range(count // 2)]
    return [f"{role}{suffix}" for role in ("scores", "mix") for suffix in suffixes]
