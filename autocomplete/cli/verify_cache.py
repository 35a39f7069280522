"""verify-cache: checks every object of DVC's cache against the hash that is its name."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from autocomplete.common.errors import UserError
from autocomplete.common.progress import progress_bar
from autocomplete.sweep import snapshot

OBJECTS = "files/md5"


def damaged(cache: Path) -> tuple[int, list[Path]]:
    """The number of objects of a cache, and those whose content does not have the MD5 that they are named by."""
    objects = sorted(p for p in (cache / OBJECTS).glob("[0-9a-f][0-9a-f]/*") if _is_object(p))
    wrong = []
    with progress_bar("cache", len(objects)) as show, ThreadPoolExecutor() as pool:  # hashing lets other threads run
        for index, (path, sound) in enumerate(zip(objects, pool.map(_sound, objects), strict=True)):
            if not sound:
                wrong.append(path)
            show(index + 1, "objects")
    return len(objects), wrong


def _is_object(path: Path) -> bool:
    """Temporary files of a transfer that was killed have other names; nothing refers to them."""
    name = path.parent.name + path.name.removesuffix(".dir")
    return len(name) == 32 and set(name) <= set("0123456789abcdef")


def _sound(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == path.parent.name + path.name.removesuffix(".dir")


@click.command("verify-cache")
@click.option("--remove", is_flag=True, help="Remove what is damaged: `dvc repro` or `dvc fetch` brings it back.")
def command(remove: bool) -> None:
    """Check every object of DVC's cache against its hash; DVC itself trusts objects that are read-only.

    Names what is damaged, and ends with status 1 then.
    """
    cache = snapshot.cache_folder()
    count, wrong = damaged(cache)
    for path in wrong:
        print(f"damaged: {path}")
        if remove:
            path.chmod(0o644)
            path.unlink()
    if not wrong:
        print(f"{cache}: {count} objects, all sound")
    elif remove:
        print(f"{len(wrong)} of {count} objects removed; `dvc repro` makes them again, `dvc fetch` brings them back")
    else:
        raise UserError(f"{len(wrong)} of {count} objects are damaged; --remove removes them")
