"""Whether a text becomes the same ids everywhere."""

import pytest

from autocomplete.evaluate import tokenization
from helpers.toys import TEXT, Toy


@pytest.mark.parametrize("text", ["", "a" * 2500, "é" * 1700, "a" + "日" * 1000, "👍" * 1001, TEXT[1]])
def test_pieces_are_whole_characters_and_lose_nothing(text: str) -> None:
    pieces = tokenization.pieces(text)
    assert "".join(pieces) == text
    assert all(0 < len(piece.encode()) <= 1000 for piece in pieces)
    assert all(len(piece.encode()) > 1000 - 4 for piece in pieces[:-1])


def test_the_share_of_pieces_that_all_encode_alike(toy: Toy) -> None:
    documents = ["one", "two", "three", "four"]

    def odd(piece: str) -> list[int]:
        return [] if piece == "two" else toy.bpe.encode(piece).ids

    def same(piece: str) -> list[int]:
        return list(toy.bpe.encode(piece).ids)

    assert tokenization.share_encoded_alike(documents, toy.bpe, [same, same]) == 1.0
    assert tokenization.share_encoded_alike(documents, toy.bpe, [same, odd]) == 0.75
