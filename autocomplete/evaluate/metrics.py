"""The metrics that validate measures, by name."""

METRICS = (
    "parity_max",
    "parity_mean",
    "perplexity",
    "perplexity_stderr",
    "perplexity_ratio",
    "perplexity_ratio_stderr",
    "bits_per_byte",
    "top1_agreement",
    "kl_divergence",
    "kl_divergence_p99",
    "text_perplexity_ratio",
    "text_perplexity_ratio_stderr",
    "greedy_match",
    "tokens_greedy_match",
    "text_greedy_match",
    "android_contract",
    "portable_greedy_match",
    "portable_tf_greedy_match",
    "portable_contract",
    "tokenizer_match",
    "context_words_p50",
    "context_words_p95",
    *(
        f"{name}{error}"
        for name in ("accepted_words_1", "accepted_words_2", "accepted_words_3", "keystrokes_saved")
        for error in ("", "_stderr")
    ),
    *(
        f"{prompts}_{name}{error}"
        for prompts in ("provoked", "ordinary")
        for name in ("refused", "unanswered")
        for error in ("", "_stderr")
    ),
)
