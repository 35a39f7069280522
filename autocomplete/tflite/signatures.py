"""Names of signatures and inputs that drivers write and runtimes call."""

GENERATE, COMPLETE_WORD = "generate", "complete_word"
# Prefill with logits behind every token: what measures a core many times as fast as decode. No file that ships has it.
SCORE = "score"
