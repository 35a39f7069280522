"""The trie of added tokens."""

import tracemalloc

from autocomplete.graph import added_tokens


def test_a_long_token_takes_memory_of_its_length() -> None:
    size = 40_000
    tracemalloc.start()
    trie = added_tokens.build_trie({b"x" * size: 7, b"xy": 8})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2000 * size
    assert len(trie.steps.merged.values) == size + 1
    token_ids = trie.tokens.values.astype(int) + trie.tokens.offset
    assert sorted(i for i in token_ids if i >= 0) == [7, 8]
