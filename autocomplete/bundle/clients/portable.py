"""Completes a text with portable.tflite of the bundle that this file lies in: $name, $mode.

Needs ai-edge-litert and numpy. The answer on standard output is the prompt, then what the model adds.
"""

import argparse
import sys
from pathlib import Path

MODEL = Path(__file__).resolve().parent.parent / "portable.tflite"
ROOM = $portable_prompt_bytes  # the model reads so many of the prompt's last bytes
TOKENS = $sequence_length  # added at most


def complete(prompt: str, temperature: float = 0.0, top_k: int = 0, seed: int = 0) -> str:
    """The prompt and what the model adds; temperature 0 takes the likeliest token, top_k 0 draws among the likeliest 64."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    text = prompt.encode()[-ROOM:].lstrip(bytes(range(0x80, 0xC0)))  # without the rest of a character that was cut
    generate = Interpreter(str(MODEL)).get_signature_runner("generate")
    answer = generate(
        prompt=np.frombuffer(text.ljust(ROOM), np.uint8)[np.newaxis], prompt_length=np.int32(len(text)),
        max_tokens=np.int32(TOKENS), temperature=np.float32(temperature), top_k=np.int32(top_k), top_p=np.float32(1),
        seed=np.int32(seed), complete_word=np.int32(1),
    )
    return prompt + answer["text"][0, : int(answer["text_length"])].tobytes().decode()


def main() -> None:
    """Reads the command line; a mistake is one line and exit status 2."""
    parser = argparse.ArgumentParser(description="Completes a text.", usage="%(prog)s [options] PROMPT")
    parser.error = lambda message: parser.exit(2, f"error: {message}; --help says what is allowed\n")
    parser.add_argument("prompt")
    parser.add_argument("--temperature", type=float, default=0.0, help="0, the default: always the likeliest token")
    parser.add_argument("--top-k", type=int, default=0, help="draw among the K likeliest; 0, the default: among 64")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same text")
    options = parser.parse_args()
    if not MODEL.is_file():
        parser.exit(2, f"error: {MODEL} is missing; usage/ belongs inside the bundle\n")
    try:
        text = complete(options.prompt, options.temperature, options.top_k, options.seed)
    except UnicodeEncodeError:
        parser.exit(2, "error: the prompt is not UTF-8\n")
    except ModuleNotFoundError as error:
        parser.exit(2, f"error: {error}; usage/README.md says what to install\n")
    sys.stdout.buffer.write(text.encode() + b"\n")


if __name__ == "__main__":
    main()
