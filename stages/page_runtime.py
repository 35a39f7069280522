"""page_runtime: LiteRT.js and its WebAssembly from npm, for the page of a bundle; nothing if page is false."""

from dataclasses import dataclass
from pathlib import Path

from autocomplete.common import config
from autocomplete.common.files import replacing
from autocomplete.page import npm_runtime

OUT = Path("artifacts/page_runtime")


@dataclass(frozen=True)
class PageRuntimeSettings:
    """Whether bundles have a page (conf/package/*.yaml)."""

    page: bool


def run(settings: PageRuntimeSettings) -> None:
    """web/package-lock.json → artifacts/page_runtime."""
    with replacing(OUT) as folder:
        if settings.page:
            npm_runtime.write(folder)
    print(f"{OUT}: {len(list(OUT.iterdir()))} files")


if __name__ == "__main__":
    config.main("page_runtime", PageRuntimeSettings, run)
