"""A config.json that is damaged, or that KerasHub would not follow, is refused in one line."""

from pathlib import Path

import pytest

from helpers.folder_changes import config, lacking, whole
from helpers.odd_folders import CONFIG, FULL, GEMMA, GEMMA2, GEMMA3, GPT2, LLAMA, LLAMA3, MISTRAL, QWEN2, QWEN3, SLIDING
from helpers.refusals import HUGE, LINES, NUMBERS, Refused, assert_refused, mixed

pytestmark = pytest.mark.timeout(60)

FACTORS = [key for key in LLAMA3 if key != "rope_type"]
SIZE, ABOVE_0, KNOWS = (
    "; allowed: a whole number of at least 1",
    "; allowed: a number above 0",
    "; KerasHub's converter",
)
NEAR, FAR = (rf"rope_parameters\.{name}\.rope_type" for name in (SLIDING, FULL))
ONLY, NESTED = "allowed: default", "allowed: full_attention and sliding_attention, each null or an object"
CONFIGURATION: Refused = {
    **{
        f"{key} {name}": (config(**{key: value}), f"{key} is .*{SIZE}")
        for key in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "intermediate_size",
            "max_position_embeddings",
            "head_dim",
        )
        for name, value in (NUMBERS | {"float": 8.0, "huge": HUGE}).items()
    },
    **{
        f"{key} {name}": (config(**{key: value}), f"{key} is .*{ABOVE_0}")
        for key in ("rms_norm_eps", "rope_theta")
        for name, value in (NUMBERS | {"1e300": 1e300, "10**400": 10**400}).items()
    },
    **{
        f"no {key}": (lacking(CONFIG, key), f"{key} is None{SIZE}")
        for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    },
    **{
        f"{key} {value!r}": (config(**{key: value}), f"{key} is {shown}{KNOWS} supports: ")
        for key, value, shown in (
            ("hidden_act", "gelu", "gelu"),
            ("hidden_act", 5, "5"),
            ("attention_bias", "false", "'false'"),
            ("attention_bias", True, "True"),
            ("mlp_bias", True, "True"),
            ("mlp_bias", 1.5, "1.5"),
            ("head_dim", 8, "8"),
            ("partial_rotary_factor", 0.5, "0.5"),
            ("partial_rotary_factor", "1", "'1'"),
        )
    },
    "hidden_act of many lines": (config(hidden_act=LINES), r"hidden_act is 'words\\nwords"),
    **{
        f"tie_word_embeddings {value!r}": (
            config(tie_word_embeddings=value),
            "tie_word_embeddings is .*; allowed: true or false",
        )
        for value in mixed("false", 0, 1, None, [])
    },
    **{
        f"architectures {value!r}": (config(architectures=value), "architectures is .*; allowed: a list with a name")
        for value in ("LlamaForCausalLM", ["LlamaForSequenceClassification"], ["LlamaModel"], [5], {"a": 1}, [None])
    },
    "groups": (config(num_key_value_heads=3), r"num_attention_heads is 4; allowed: a multiple of num_key_value_heads"),
    "odd heads": (config(hidden_size=12, head_dim=3), "head_dim is 3; allowed: an even number"),
    "gpt2's n_inner": (whole(GPT2, n_inner=7), f"n_inner is 7{KNOWS} supports: None, 64"),
    "gpt2's n_head": (whole(GPT2, n_head=3), "n_embd is 16; allowed: a multiple of n_head"),
    "gpt2's n_positions": (whole(GPT2, n_positions="96"), f"n_positions is '96'{SIZE}"),
    "gpt2's epsilon": (whole(GPT2, layer_norm_epsilon=1e-3), rf"layer_norm_epsilon is 0\.001{KNOWS}"),
    "qwen2's window": (whole(QWEN2, use_sliding_window=True), f"use_sliding_window is True{KNOWS}"),
    "qwen3's head_dim": (whole(QWEN3, head_dim=None), f"head_dim is None{SIZE}"),
    "gemma's groups": (whole(GEMMA, num_key_value_heads=None), f"num_key_value_heads is None{SIZE}"),
    "gemma's epsilon": (whole(GEMMA, rms_norm_eps=1e-5), f"rms_norm_eps is 1e-05{KNOWS}"),
    **{
        f"{base['model_type']}'s {key} {value!r}": (whole(base, **{key: value}), f"{key} is .*{ABOVE_0}")
        for base, keys in (
            (GEMMA2, ("final_logit_softcapping", "attn_logit_softcapping")),
            (GEMMA3, ("final_logit_softcapping",)),
        )
        for key in keys
        for value in ("30", 0, -1, True)
    },
    **{  # transformers' Gemma 3 does not apply it
        f"gemma3's attn_logit_softcapping {value!r}": (
            whole(GEMMA3, attn_logit_softcapping=value),
            f"attn_logit_softcapping is .*{KNOWS} supports: None",
        )
        for value in (3.0, "30", 0)
    },
    **{
        f"gemma's hidden_act {act}, hidden_activation {activation!r}": (
            whole(GEMMA, hidden_act=act, **activation),
            f"hidden_act is {act}{KNOWS} supports: gelu_pytorch_tanh, gelu",
        )
        for act in ("silu", "relu")
        for activation in ({}, {"hidden_activation": None}, {"hidden_activation": "gelu_pytorch_tanh"})
    },
    **{
        f"{base['model_type']}'s hidden_activation": (
            whole(base, hidden_activation="silu"),
            f"hidden_activation is silu{KNOWS} supports: gelu_pytorch_tanh, None",
        )
        for base in (GEMMA, GEMMA2, GEMMA3)
    },
    **{
        f"{base['model_type']}'s sliding_window {value!r}": (whole(base, sliding_window=value), f"sliding_win.*{SIZE}")
        for base, nothing in ((MISTRAL, ()), (GEMMA2, (None,)), (GEMMA3, (None,)))
        for value in ("4096", 0, -1, 2.5, True, HUGE, *nothing)
    },
    **{
        f"{base['model_type']}'s layer_types {value!r:.30}": (whole(base, layer_types=value), f"layer_types {shown}")
        for base, value, shown in (
            (MISTRAL, [SLIDING, FULL], "has 'full_attention' at 1; .* supports there: sliding_attention"),
            (QWEN2, [SLIDING, FULL], "has 'sliding_attention' at 0; .* supports there: full_attention"),
            (QWEN2, [FULL], r"is \['full_attention'\]; allowed: a list of 2, the num_hidden_layers"),
            (QWEN2, FULL, "is 'full_attention'; allowed: a list of 2"),
            (QWEN3, [[FULL]] * 2, r"has \['full_attention'\] at 0"),
            (GEMMA2, [FULL, SLIDING], "has 'full_attention' at 0"),
            (GPT2, [FULL], r"is \['full_attention'\]; allowed: a list of 2, the n_layer"),
            (GPT2, "full", "is 'full'; allowed: a list of 2, the n_layer"),
            (GPT2, [FULL, SLIDING], "has 'sliding_attention' at 1; .* supports there: full_attention"),
            (QWEN2 | {"num_hidden_layers": 10**9}, [FULL], r"is \['full_attention'\]; allowed: a list of 1000000000"),
        )
    },
    "mistral's sliding layers without a window": (
        whole(MISTRAL, layer_types=[SLIDING, SLIDING], sliding_window=None),
        "sliding_window is None; allowed with sliding_attention in layer_types: a whole number of at least 1",
    ),
    **{
        f"{key} {value!r:.40}": (config(**{key: value}), rf"{key}\.rope_type is {shown}; .* supports: default, llama3")
        for key, value, shown in (
            ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}, "yarn"),
            ("rope_scaling", {"type": "linear", "factor": 2.0}, "linear"),
            ("rope_scaling", {"type": "dynamic", "factor": 2.0}, "dynamic"),
            ("rope_parameters", {"rope_type": "longrope", "factor": 2.0}, "longrope"),
            ("rope_parameters", {"rope_type": ["llama3"]}, r"\['llama3'\]"),
            ("rope_parameters", {"rope_type": LINES}, r"'words\\n.*"),
            ("rope_scaling", {"rope_type": None, "type": "linear", "factor": 4.0}, "None"),
            ("rope_parameters", {"type": None}, "None"),
        )
    },
    **{
        f"{key} is {value!r:.20}": (config(**{key: value}), f"{key} is .*; allowed: null or an object with rope_type")
        for key in ("rope_scaling", "rope_parameters")
        for value in ("llama3", 8.0, [LLAMA3], False)
    },
    **{
        f"llama3's {key} {name}": (config(rope_scaling=LLAMA3 | {key: value}), rf"rope_scaling\.{key} is .*{ABOVE_0}")
        for key in FACTORS
        for name, value in (NUMBERS | {"null": None}).items()
    },
    **{
        f"llama3 without {key}": (
            config(rope_parameters={k: v for k, v in LLAMA3.items() if k != key}),
            rf"rope_parameters\.{key} is None{ABOVE_0}",
        )
        for key in FACTORS
    },
    "llama3's factors": (
        config(rope_scaling=LLAMA3 | {"high_freq_factor": 1.0}),
        r"rope_scaling\.high_freq_factor is 1\.0; allowed",
    ),
    "two bases": (config(rope_parameters={"rope_theta": 5e5}), r"rope_theta is 10000\.0, and in rope_parameter"),
    "two scalings": (
        config(rope_scaling=LLAMA3, rope_parameters=LLAMA3 | {"factor": 4.0}),
        "rope_parameters and rope_scaling contradict each other; allowed: one",
    ),
    "half of a head": (config(rope_parameters={"partial_rotary_factor": 0.5}), r"\S+partial_rotary_factor is 0\.5;"),
    **{
        f"gemma3's {name}": (whole(GEMMA3, rope_parameters=value), shown)
        for name, value, shown in (
            ("far", {FULL: 5}, r"rope_parameters\.full_attention is 5; allowed: null or an object"),
            ("near", {FULL: {}, SLIDING: []}, r"rope_parameters\.sliding_attention is \[\]; allowed: null"),
            ("scaled", {SLIDING: {"rope_type": "linear", "factor": 4.0}}, f"{NEAR} is linear; {ONLY}"),
            ("scaled by type", {SLIDING: {"type": "linear", "factor": 4.0}}, f"{NEAR} is linear; {ONLY}"),
            ("scaled, far null", {FULL: None, SLIDING: {"type": "linear"}}, f"{NEAR} is linear; {ONLY}"),
            ("scaled, far", {FULL: {}, SLIDING: {"rope_type": "linear"}}, f"{NEAR} is linear; {ONLY}"),
            ("near without a type", {SLIDING: {"rope_type": None}}, f"{NEAR} is None; {ONLY}"),
            ("half of a near head", {SLIDING: {"partial_rotary_factor": 0.5}}, r"\S+\.partial_rotary_factor is 0\.5;"),
            ("near base", {SLIDING: {"rope_theta": 55.0}}, rf"rope_local_base_freq is 55\.0{KNOWS} supports: 10000"),
            ("yarn", {FULL: {"rope_type": "yarn"}}, rf"{FAR} is yarn; .* supports: default, linear"),
            ("flat", {"rope_type": "linear", "factor": 4.0}, rf"rope_parameters has the key rope_type; {NESTED}"),
            ("flat base", {"rope_theta": 55.0}, f"rope_parameters has the key rope_theta; {NESTED}"),
            ("flat and nested", {FULL: {}, "factor": 4.0}, f"rope_parameters has the key factor; {NESTED}"),
            ("lines", {LINES: {}}, rf"rope_parameters has the key 'words\\n.*; {NESTED}"),
        )
    },
    **{
        f"{base['model_type']}'s {key} for layer types": (
            whole(base, **{key: {FULL: {"rope_type": "default"}}}),
            f"{key} has the key full_attention; allowed: rope_type and its settings",
        )
        for base, key in (
            (LLAMA, "rope_parameters"),
            (QWEN2, "rope_parameters"),
            (GEMMA2, "rope_parameters"),
            (QWEN3, "rope_scaling"),
            (GEMMA3, "rope_scaling"),
        )
    },
    # transformers reads only the older key where both are there
    "another base beside the older key": (
        whole(LLAMA, rope_theta=None, rope_scaling=LLAMA3, rope_parameters=LLAMA3 | {"rope_theta": 77.0}),
        "rope_parameters and rope_scaling contradict each other; allowed: one",
    ),
}


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("name", CONFIGURATION)
def test_the_refusal_names_the_error_in_one_line(name: str, folder: Path) -> None:
    change, message = CONFIGURATION[name]
    assert_refused(folder, change, r"/config\.json:? " + message)
