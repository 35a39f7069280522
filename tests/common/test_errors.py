"""A user's mistake is one line, whatever it came from."""

import pytest

from autocomplete.common.errors import UserError, chain, user_errors, within


def test_a_mistake_ends_a_command_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, user_errors():
        raise UserError("a is 1; allowed: 2")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: a is 1; allowed: 2\n"


def test_any_other_exception_passes() -> None:
    with pytest.raises(KeyError), user_errors():
        raise KeyError("a fault of ours")


def test_the_traceback_is_shown_on_request(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AUTOCOMPLETE_TRACEBACK", "1")
    with pytest.raises(SystemExit), user_errors():
        raise UserError("a is 1")
    output = capsys.readouterr().err
    assert "Traceback" in output
    assert output.endswith("error: a is 1\n")


def test_a_chain_ends_with_the_first_cause() -> None:
    try:
        try:
            raise OSError("no\n  route")
        except OSError as error:
            raise ValueError from error
    except ValueError as error:
        assert chain(error) == ["ValueError", "no route"]


def test_a_cyclic_chain_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert chain(one) == ["one", "two"]


@pytest.mark.parametrize("value", [1, 2.5, 4])
def test_bounds_are_allowed(value: float) -> None:
    within("key", value, 1, 4)


@pytest.mark.parametrize("value", [0.999, 4.001, float("nan"), float("inf")])
def test_what_is_out_of_bounds_is_named(value: float) -> None:
    with pytest.raises(UserError, match=r"^key is .*; allowed: 1 to 4$"):
        within("key", value, 1, 4)
    with pytest.raises(UserError, match=r"; allowed: some words$"):
        within("key", value, 1, 4, "some words")
