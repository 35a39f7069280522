"""Finds words in texts, and the beginnings of words at the ends of texts, in linear time (Aho and Corasick, 1975)."""

from collections.abc import Mapping


class Automaton:
    """A state of it stands for the longest beginning of a word with which the text ends that was read; 0 for none."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """The automaton of some words.

        Args:
          names: the words, and what each is called in the answers.
        """
        self._next: list[dict[str, int]] = [{}]
        self._length = [0]
        self._begun = [""]  # by state, a word that begins so
        self._ended: list[str | None] = [None]  # by state, a word that ends there
        for word, name in names.items():
            self._ended[self._add(word, name)] = name
        self._shorter = [0] * len(self._next)  # by state, that of the longest beginning of a word in its end
        queue = list(self._next[0].values())
        for state in queue:
            for character, child in self._next[state].items():
                self._shorter[child] = self._step(self._shorter[state], character)
                queue.append(child)
            self._ended[state] = self._ended[state] or self._ended[self._shorter[state]]

    def word_that_begins_inside(self, text: str) -> str | None:
        """A word that a text contains, or whose beginning the text ends with; None if there is none.

        A word that begins with all of the text is none.
        """
        state = 0
        for character in text:
            state = self._step(state, character)
            if self._ended[state] is not None:
                return self._ended[state]
        state = self._shorter[state] if self._length[state] == len(text) else state
        return self._begun[state] if state else None

    def _add(self, word: str, name: str) -> int:
        """Adds the states of a word; returns its last one."""
        state = 0
        for character in word:
            if character not in self._next[state]:
                self._next[state][character] = len(self._next)
                self._next.append({})
                self._length.append(self._length[state] + 1)
                self._begun.append(name)
                self._ended.append(None)
            state = self._next[state][character]
        return state

    def _step(self, state: int, character: str) -> int:
        while state and character not in self._next[state]:
            state = self._shorter[state]
        return self._next[state].get(character, 0)
