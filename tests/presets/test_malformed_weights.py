"""Weights that are damaged, missing, or of another model are refused in one line."""

import operator
import re
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from helpers.folder_changes import both, cast, config, cut, fewer, header, keys, more, sharded, weight, without, written
from helpers.odd_folders import CONFIG, HEAD_ROWS, INDEX, NORM, QUERY, TABLE, TOKENS, WEIGHTS, WIDTH
from helpers.refusals import HUGE, NESTED, Refused, assert_refused, mixed, refusal

pytestmark = pytest.mark.timeout(60)

NO_FILE, LOST = (
    r"/model\.safetensors is no safetensors file",
    r"/model\.safetensors cannot be loaded: SafetensorError: ",
)
SHAPE = "cannot be loaded: {} has the shape {}; allowed by config.json: {}"
TOKENS_BY = f"({len(TOKENS)}, {WIDTH})"
STORED: Refused = {
    "no weights": (without(WEIGHTS), r" has neither model\.safetensors nor model\.safetensors\.index\.json: author"),
    "quantized": (config(quantization_config={"bits": 4}), r" is quantized \(quantization_config\)"),
    "header cut off": (cut(WEIGHTS, 100), NO_FILE),
    "data cut off": (cut(WEIGHTS, -9), LOST),
    "empty": (written(WEIGHTS, b""), NO_FILE),
    "huge header": (written(WEIGHTS, struct.pack("<Q", 2**62) + b"{}"), NO_FILE),
    "header longer than the file": (written(WEIGHTS, struct.pack("<Q", 10_000) + b"{}"), LOST),
    "header of a list": (header([1]), NO_FILE),
    "header nested": (header(NESTED.encode()), NO_FILE),
    "header of nothing": (header({}), r"/config\.json: num_hidden_layers is 2; allowed: at most 0, its weights"),
    "offsets beyond": (header({NORM: {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}), LOST),
    "another shape than bytes": (
        header({NORM: {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 64]}}, bytes(64)),
        LOST,
    ),
    "unknown type": (header({NORM: {"dtype": "Q4", "shape": [16], "data_offsets": [0, 64]}}, bytes(64)), LOST),
    **{
        f"weights in {name}": (
            weight(QUERY, operator.methodcaller("astype", kind)),
            rf"/model\.safetensors: {QUERY} is in {name}; allowed: F32, BF16, F16, F64",
        )
        for kind, name in (
            (np.int64, "I64"),
            (np.int8, "I8"),
            (np.uint8, "U8"),
            (np.bool_, "BOOL"),
            (ml_dtypes.float8_e4m3fn, "F8_E4M3"),
        )
    },
    **{
        name: (change, "/model.safetensors " + re.escape(SHAPE.format(weight_name, shape, expected)))
        for name, change, weight_name, shape, expected in (
            ("another shape", weight(QUERY, lambda array: array[:8]), QUERY, "(8, 16)", "(16, 16)"),
            ("more dimensions", weight(NORM, lambda array: array[None]), NORM, "(1, 16)", "(16,)"),
            ("turned", weight(HEAD_ROWS, np.transpose), HEAD_ROWS, f"({WIDTH}, {len(TOKENS)})", TOKENS_BY),
            ("more vocabulary", config(vocab_size=1000), TABLE, TOKENS_BY, "(1000, 16)"),
            ("less vocabulary", config(vocab_size=200), TABLE, TOKENS_BY, "(200, 16)"),
            ("huge vocabulary", config(vocab_size=2**31 - 1), TABLE, TOKENS_BY, "(2147483647, 16)"),
            ("wider", config(intermediate_size=25), "model.layers.0.mlp.gate_proj.weight", "(24, 16)", "(25, 16)"),
        )
    },
    "billions of layers": (config(num_hidden_layers=10**9), r"/config\.json: num_hidden_layers is 10{9}; allowed"),
    "more layers": (config(num_hidden_layers=3), r" has no weight model\.layers\.2\.\S+, which a llama of 3 layers"),
    "fewer layers": (config(num_hidden_layers=1), r" holds weights that no llama of 1 layers has: model\.layers\.1\."),
    "a weight missing": (fewer(NORM), r" has no weight model\.norm\.weight, which a llama of 2 layers has; download"),
    "no head": (fewer(HEAD_ROWS), r" has no weight lm_head\.weight"),
    "a bias left over": (
        more("model.layers.0.self_attn.q_proj.bias", np.zeros(WIDTH, np.float32)),
        r" holds weights that no llama of 2 layers has: model\.layers\.0\.self_attn\.q_proj\.bias; it is another model",
    ),
    "a name of two lines": (more("score\n", np.ones(3)), r" holds weights that no llama of 2 layers has: 'score\\n'"),
    "both names of a weight": (more("norm.weight", np.ones(WIDTH)), " holds weights that no llama .*: norm.weight"),
    "index: missing file": (sharded(**{NORM: "model-3.safetensors"}), r" lacks model-3\.safetensors, which model"),
    **{
        f"index: {name!r}": (
            sharded(**{NORM: name}),
            r"/model\.safetensors\.index\.json names weights outside of its folder",
        )
        for name in ("/etc/passwd", "../model-1.safetensors", ".hidden.safetensors", 5, None)
    },
    "index: no name": (sharded(**{NORM: ""}), r"/model\.safetensors\.index\.json: weight_map has '' for 'model"),
    "index: a long name": (sharded(**{NORM: "x" * 5000}), r"/model\.safetensors\.index\.json: weight_map has 'x.* …"),
    "index: no weights": (sharded(**{NORM: CONFIG}), r"/config\.json cannot be loaded: SafetensorError"),
    **{
        f"index: {name}": (change, r"/model-[12]\.safetensors lacks \S+weight, which model\.safetensors\.index")
        for name, change in (
            ("unknown weight", sharded(**{"x.weight": "model-1.safetensors"})),
            ("other file", sharded(**dict.fromkeys((NORM, TABLE, HEAD_ROWS, QUERY), "model-1.safetensors"))),
        )
    },
    "index: a list": (both(sharded(), written(INDEX, "[]")), r"/model\.safetensors\.index\.json holds no JSON object"),
    **{
        f"index: weight_map {value!r}": (
            both(sharded(), keys(INDEX, weight_map=value)),
            r"/model\.safetensors\.index\.json: weight_map is .*; allowed: an object of weights and files",
        )
        for value in mixed(None, {}, [], "x", 5)
    },
    "a weight in two files": (
        both(sharded(), *(more(NORM, np.ones(WIDTH), f"model-{i}.safetensors") for i in (1, 2))),
        r"/model-1\.safetensors and model-2\.safetensors both hold 'model\.norm\.weight'; allowed: one of them",
    ),
}


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("name", STORED)
def test_the_refusal_names_the_error_in_one_line(name: str, folder: Path) -> None:
    change, message = STORED[name]
    assert_refused(folder, change, message)


NOT_FINITE = r"holds numbers that are not finite \(NaN, infinity\); download it again"
OF_WEIGHTS: Refused = {
    "NaN": (weight(QUERY, lambda array: np.where(array > 0.5, np.nan, array)), NOT_FINITE),
    "infinity in BF16": (both(weight(NORM, lambda array: array * np.inf), cast(ml_dtypes.bfloat16)), NOT_FINITE),
    "more than float32": (weight(TABLE, lambda array: array.astype(np.float64) * 1e200), NOT_FINITE),
    "a head that is tied and another": (
        config(tie_word_embeddings=True),
        rf"tie_word_embeddings is true, but {HEAD_ROWS} is not equal to {TABLE}; allowed",
    ),
}


@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_invalid_values_of_weights_are_refused(name: str, folder: Path) -> None:
    change, message = OF_WEIGHTS[name]
    change(folder)
    assert re.search(message, refusal(folder))
