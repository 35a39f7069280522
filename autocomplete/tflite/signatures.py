"""Names of signatures and of their inputs that drivers write and runtimes call."""

GENERATE, COMPLETE_WORD = "generate", "complete_word"
