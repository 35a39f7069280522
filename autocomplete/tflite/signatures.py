"""Names of signatures and inputs that drivers write and runtimes call."""

GENERATE, COMPLETE_WORD = "generate", "complete_word"
