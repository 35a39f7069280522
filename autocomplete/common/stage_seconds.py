"""How long each stage took when it last ran here: noted beside DVC's own temporary files, as it is no result."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, write_json

_FOLDER = Path(".dvc/tmp/stage_seconds")


@contextlib.contextmanager
def noted(stage: str, variant: str = "") -> Iterator[None]:
    """Notes the seconds of a stage, or of a variant of it such as a mode, and prints them."""
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    name = f"{stage}@{variant}" if variant else stage
    print(f"{name}: {seconds:.1f} s", flush=True)
    if _FOLDER.parent.is_dir():  # else this is no DVC repository
        write_json(_FOLDER / f"{name}.json", {"seconds": round(seconds, 1)})


def by_stage() -> dict[str, float]:
    """The seconds of each stage that ran here, its variants added up."""
    totals: dict[str, float] = {}
    for path in sorted(_FOLDER.glob("*.json"), key=lambda p: p.stat().st_mtime):
        with contextlib.suppress(UserError, KeyError, ValueError):  # a damaged note says nothing
            stage = path.stem.partition("@")[0]
            totals[stage] = totals.get(stage, 0.0) + float(read_json(path)["seconds"])
    return totals
