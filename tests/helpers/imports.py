"""The files of the project that a script imports, directly or not: DVC runs a stage again when one changes."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("autocomplete", "stages")
# Modules that are imported by name at run time, by the module that does so.
BY_NAME = {"autocomplete/model/families/__init__.py": "autocomplete/model/families/*.py"}


def closure(script: str) -> set[str]:
    """A script, all modules that it imports, directly or not, and the data files that they read; paths in ROOT."""
    modules, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path not in modules:
            modules.add(path)
            waiting += _imports(path)
    return {path for path in modules if path.endswith(".py")} | {data for path in modules for data in _data(path)}


def dependencies(script: str) -> list[str]:
    """The deps of a script in dvc.yaml: a room if the script imports all of its files, else the files."""
    needed = closure(script)
    rooms = {room for room in map(_room, files()) if room and {f for f in files() if _room(f) == room} <= needed}
    return sorted({room if (room := _room(file)) in rooms else file for file in needed})


def _room(file: str) -> str:
    """The room of a file of the library."""
    package, *parts = file.split("/")
    return f"{package}/{parts[0]}" if package == "autocomplete" and len(parts) > 1 else ""


@functools.cache
def files() -> set[str]:
    """Every file of the library and the stages: modules and what they read."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)
    }


@functools.cache
def _imports(path: str) -> tuple[str, ...]:
    tree = ast.parse((ROOT / path).read_text())
    paths = {file for node in ast.walk(tree) for name in _names(node) if (file := _file(name))}
    strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    paths |= {file for t in strings if (file := f"{t.replace('.', '/')}.py") in files()}  # run as `python -m`
    named = {p.relative_to(ROOT).as_posix() for p in ROOT.glob(BY_NAME[path])} if path in BY_NAME else set()
    # Python runs the packages above a module first
    packages = {(p / "__init__.py").as_posix() for p in Path(path).parents if (ROOT / p / "__init__.py").is_file()}
    return tuple(sorted(paths | named | packages))


def _names(node: ast.AST) -> Iterator[str]:
    """The dotted names that an import statement may stand for: `from a import b` is `a` and `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(name: str) -> str | None:
    """The file of a module of this project."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    path = name.replace(".", "/")
    return next((p for p in (f"{path}.py", f"{path}/__init__.py") if (ROOT / p).is_file()), None)


@functools.cache
def _data(module: str) -> frozenset[str]:
    """The data files near a module that its source names, by their own name or by their folder's."""
    source, folder = (ROOT / module).read_text(), (ROOT / module).parent
    data_files = [
        p for p in folder.rglob("*") if p.suffix != ".py" and not {"__pycache__", "node_modules"} & set(p.parts)
    ]
    named = [p for p in data_files if f'"{p.relative_to(folder).as_posix()}"' in source]
    roots = [p for p in named if not (p / "__init__.py").exists()]
    paths = [f for p in roots for f in ([p] if p.is_file() else p.rglob("*")) if f.is_file()]
    return frozenset(f.relative_to(ROOT).as_posix() for f in paths if "node_modules" not in f.parts)


if __name__ == "__main__":
    # prints the lines of dvc.yaml for each stage
    for script in sorted((ROOT / "stages").glob("[a-z]*.py")):
        print(f"  {script.stem}:", *(f"      - {dep}" for dep in dependencies(f"stages/{script.name}")), sep="\n")
