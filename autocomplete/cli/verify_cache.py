"""verify-cache: compares every object of DVC's cache with the MD5 in its name."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from autocomplete.common.errors import UserError
from autocomplete.common.progress import progress_bar
from autocomplete.sweep import snapshot

OBJECTS = "files/md5"


def find_damaged(cache: Path) -> tuple[int, list[Path]]:
    """Returns the number of objects in a cache, and the paths of those whose content has another MD5 than the name."""
    objects = sorted(path for path in (cache / OBJECTS).glob("[0-9a-f][0-9a-f]/*") if _is_object(path))
    damaged: list[Path] = []
    with progress_bar("cache", len(objects)) as show, ThreadPoolExecutor() as pool:  # hashing releases the GIL
        for index, (path, intact) in enumerate(zip(objects, pool.map(_is_intact, objects), strict=True)):
            if not intact:
                damaged.append(path)
            show(index + 1, "objects")
    return len(objects), damaged


def _is_object(path: Path) -> bool:
    """Whether a name is an MD5: the temporary files of a killed transfer have other names."""
    name = path.parent.name + path.name.removesuffix(".dir")
    return len(name) == 32 and set(name) <= set("0123456789abcdef")


def _is_intact(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == path.parent.name + path.name.removesuffix(".dir")


@click.command("verify-cache")
@click.option("--remove", is_flag=True, help="Remove what is damaged: `dvc repro` or `dvc fetch` brings it back.")
def command(remove: bool) -> None:
    """Check every object of DVC's cache against its hash; DVC itself trusts objects that are read-only.

    Names what is damaged, and ends with status 1 then.
    """
    cache = snapshot.cache_folder()
    count, damaged = find_damaged(cache)
    for path in damaged:
        print(f"damaged: {path}")
        if remove:
            path.chmod(0o644)
            path.unlink()
    if not damaged:
        print(f"{cache}: {count} objects, all sound")
    elif remove:
        print(f"{len(damaged)} of {count} objects removed; `dvc repro` makes them again, `dvc fetch` brings them back")
    else:
        raise UserError(f"{len(damaged)} of {count} objects are damaged; --remove removes them")
