"""Completes a text with tokens.tflite of the bundle that this file lies in: $name, $mode.

Needs ai-edge-litert, tokenizers and numpy. The answer on standard output is the prompt, then what the model adds.
"""

import argparse
import sys
from pathlib import Path

BUNDLE = Path(__file__).resolve().parent.parent
FILES = MODEL, TOKENIZER = [
    str(BUNDLE / name) for name in ("tokens.tflite", "tokenizer/tokenizer.json")
]
WINDOW = $tokens_default  # the model reads so many of the prompt's last tokens: $tokens_minimum to $tokens_maximum
LENGTH = $sequence_length  # tokens read and added, the start token included
START = $start  # stands before every prompt
END = $end
NO_TEXT = $no_text  # tokens that stand for no text
COMPLETE_WORD = $complete_word  # whether the model completes a word that the prompt ends in


def complete(prompt: str, temperature: float = 0.0, top_k: int = 0, seed: int = 0) -> str:
    """The prompt and what the model adds; temperature 0 takes the likeliest token, top_k 0 draws among the likeliest 64."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(TOKENIZER)
    ids = START + tokenizer.encode(prompt).ids[-WINDOW:] or [END]
    tokens = np.zeros((1, LENGTH), np.int32)
    tokens[0, : len(ids)] = ids
    generate = Interpreter(MODEL).get_signature_runner("generate")
    answer = generate(
        tokens=tokens, length=np.int32(len(ids)), max_length=np.int32(LENGTH), temperature=np.float32(temperature),
        top_k=np.int32(top_k), top_p=np.float32(1), seed=np.int32(seed),
        **({"complete_word": np.int32(1)} if COMPLETE_WORD else {}),
    )
    # The answer may spell the end of the prompt in other tokens, but its text is the same.
    read, answered = (
        tokenizer.decode([i for i in part if i not in NO_TEXT])
        for part in (ids, answer["tokens"][0, : int(answer["length"])].tolist())
    )
    # A model may add bytes that are no text, or stop inside a character: these are left out.
    return prompt + answered[len(read) :].replace("\ufffd", "")


def main() -> None:
    """Reads the command line; a mistake is one line and exit status 2."""
    parser = argparse.ArgumentParser(description="Completes a text.", usage="%(prog)s [options] PROMPT")
    parser.error = lambda message: parser.exit(2, f"error: {message}; --help says what is allowed\n")
    parser.add_argument("prompt")
    parser.add_argument("--temperature", type=float, default=0.0, help="0, the default: always the likeliest token")
    parser.add_argument("--top-k", type=int, default=0, help="draw among the K likeliest; 0, the default: among 64")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same text")
    options = parser.parse_args()
    missing = [name for name in FILES if not Path(name).is_file()]
    if missing:
        parser.exit(2, f"error: {missing[0]} is missing; usage/ belongs inside the bundle\n")
    try:
        options.prompt.encode()
    except UnicodeEncodeError:
        parser.exit(2, "error: the prompt is not UTF-8\n")
    try:
        text = complete(options.prompt, options.temperature, options.top_k, options.seed)
    except ModuleNotFoundError as error:
        parser.exit(2, f"error: {error}; usage/README.md says what to install\n")
    sys.stdout.buffer.write(text.encode() + b"\n")


if __name__ == "__main__":
    main()
