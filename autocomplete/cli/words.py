"""words: lists bad words that are one token of a model, which convert.suppress_tokens can exclude."""

import json
from pathlib import Path

import click

from autocomplete.common.errors import UserError


@click.command("words")
@click.argument("tokenizer", type=click.Path(path_type=Path))
@click.argument("languages", nargs=-1, required=True, metavar="LANGUAGE...")
def command(tokenizer: Path, languages: tuple[str, ...]) -> None:
    """List bad words that are one token, as convert.suppress_tokens takes them; TOKENIZER is a tokenizer's folder.

    Example: autocomplete words artifacts/author/assets/tokenizer english
    """
    from autocomplete.evaluate import word_filter
    from autocomplete.tokenizer import tokenizer as tokenizers

    if not (tokenizer / "vocabulary.json").is_file():
        raise UserError(f"{tokenizer} holds no vocabulary.json; say artifacts/author/{tokenizers.FOLDER} and languages")
    word_filter.check_languages(languages, "words")
    for text in word_filter.one_token_words(languages, tokenizers.from_keras_folder(tokenizer)):
        print(f"  - {json.dumps(text, ensure_ascii=False)}")
