"""Special tokens that the files of a folder lack, or do not agree on, are refused in one line."""

from pathlib import Path

import pytest

from helpers.folder_changes import added, both, keys, older_files, settings, tokens, without
from helpers.odd_folders import CONFIG, END, GENERATION, SETTINGS, START, TOKENIZER, TOKENS
from helpers.refusals import Refused, assert_refused, mixed

pytestmark = pytest.mark.timeout(60)

NO_TOKEN = mixed("<none>", 5, True, [START], {}, {"lstrip": True}, {"content": None}, {"content": 5}, "\ud800")
SPECIAL_TOKENS: Refused = {
    **{
        f"{key} {value!r}": (settings(**{key: value}), rf"/{SETTINGS}: {key} is .*; allowed: null or a token")
        for key in ("bos_token", "eos_token", "pad_token")
        for value in NO_TOKEN
    },
    **{
        f"{key} {value!r}": (settings(**{key: value}), rf"/{SETTINGS}: {key} is .*; allowed: true, false or null")
        for key in ("add_bos_token", "add_eos_token")
        for value in mixed("true", 1, [], START)
    },
    "an end behind each text": (
        both(settings(add_eos_token=True), older_files),
        f"/{SETTINGS}: add_eos_token is True; allowed",
    ),
    **{
        f"{name}'s eos_token_id {value!r}": (
            keys(name, eos_token_id=value),
            f"/{name}: eos_token_id is .*; allowed: null, an id or a list of ids",
        )
        for name in (CONFIG, GENERATION)
        for value in ("1", 1.0, ["1"], [[1]], True, {"a": 1}, END)
    },
    "no end": (
        both(
            settings(eos_token=None),
            without(GENERATION),
            lambda folder: (folder / TOKENIZER).write_text((folder / TOKENIZER).read_text().replace(END, "<|x|>")),
        ),
        r" names no token that ends a text; give tokenizer_config\.json an eos_token",
    ),
    "an end that is no id": (
        both(
            settings(eos_token=None),
            keys(GENERATION, eos_token_id=[5000, -1]),
            lambda folder: (folder / TOKENIZER).write_text((folder / TOKENIZER).read_text().replace(END, "<|x|>")),
        ),
        " names no token that ends a text",
    ),
    **{
        f"id {number}": (change, f": vocab_size is {len(TOKENS)}, but the tokenizer has ids up to {number};")
        for number, change in (
            (4 * 10**9, tokens(x=4 * 10**9)),
            (len(TOKENS), tokens(x=len(TOKENS))),
            (10**9, added({"id": 10**9, "content": "<x>"})),
        )
    },
}


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("name", SPECIAL_TOKENS)
def test_the_refusal_names_the_error_in_one_line(name: str, folder: Path) -> None:
    change, message = SPECIAL_TOKENS[name]
    assert_refused(folder, change, message)
