"""The page on operators that are not built into TensorFlow Lite."""

from pathlib import Path

from autocomplete.bundle import android
from autocomplete.tflite import inspect


def rows(page: str) -> dict[str, str]:
    """The page's table of operators."""
    cells = (line.split("|") for line in page.splitlines() if line.startswith("| `"))
    return {operator.strip(" `"): kind.strip() for _, operator, kind, _ in cells}


def page_of(model: Path) -> str:
    description = inspect.describe(model)
    return android.flex_ops_page(description.select_tf_operators, description.custom_operators)


def test_the_page_lists_the_operators_of_the_model(toy_bundle: Path, core_path: Path) -> None:
    model = toy_bundle / "autocomplete.tflite"
    page = page_of(model)
    assert set(rows(page)) == {name.removeprefix("Flex") for name in _operators(model) if name.startswith("Flex")}
    assert set(rows(page).values()) == {"TensorFlow's, by Select TF"}
    assert "`tensorflow-lite-select-tf-ops` is enough" in page
    assert "{" not in page.replace("android { defaultConfig { ndk { abiFilters", "")
    assert page_of(core_path) == ""


def _operators(model: Path) -> set[str]:
    """The operators of a file, as TensorFlow's own code lists them."""
    from tensorflow.lite.python.interpreter import Interpreter, OpResolverType

    # without delegates, which replace operators with one of their own
    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return {
        detail["op_name"] for detail in Interpreter(str(model), experimental_op_resolver_type=kind)._get_ops_details()
    }


def test_the_page_names_operators_that_no_public_archive_contains() -> None:
    page = android.flex_ops_page(["RegexSplitWithOffsets", "Substr"], ["Mine"])
    assert rows(page) == {
        "RegexSplitWithOffsets": "TF Text's, by Select TF",
        "Substr": "TensorFlow's, by Select TF",
        "Mine": "custom",
    }
    assert "**`Mine`, `RegexSplitWithOffsets` are not in `tensorflow-lite-select-tf-ops`**" in page
    assert "is enough" not in page
