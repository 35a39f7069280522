"""Other implementations that this project is measured against: transformers and llama.cpp, made once for a machine.

They are kept in the user's cache from one run of the tests to the next (1 GB and 30 MB), each in a folder named after
what it is made of: a new version gets a new folder. Several processes of tests wait for the first of them.
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

    By pip, which takes PyTorch's build for CPUs where pip.conf or PIP_FIND_LINKS know one: uv takes PyPI's, which with
    CUDA is 3 GB.
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
    """Runs a file of tests/helpers/workers, whose last words are the failure's message."""
    command = [str(python), str(WORKERS / worker), *map(str, arguments)]
    left_out = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")  # what is imported is compiled once
    environment = {k: v for k, v in os.environ.items() if k not in left_out}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, env=environment | {"HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, f"{worker} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def _made(name: str, of: Sequence[str], make: Callable[[Path], None]) -> Path:
    """A folder that `make` has filled, now or in an earlier run; skips the test where that is not to be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autocomplete-pipeline-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{hashlib.sha256(' '.join(of).encode()).hexdigest()[:12]}"
    complete = folder / "complete"
    with FileLock(f"{folder}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a killed run left
            folder.mkdir()
            try:
                make(folder)
            except (OSError, subprocess.SubprocessError) as error:
                shutil.rmtree(folder, ignore_errors=True)
                absent(f"{', '.join(of)} cannot be installed: {_why(error)}")
            complete.touch()
    return folder


def _why(error: Exception) -> str:
    said = str(getattr(error, "stderr", None) or error).strip()
    return said.splitlines()[-1] if said else type(error).__name__


def _install_transformers(folder: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    _command(uv, "venv", "--quiet", "--seed", "--allow-existing", "--python", "3.11", folder)
    # Thousands of modules are never imported: compiling them takes three times as long as all the rest.
    _command(folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile", *TRANSFORMERS)


def _unpack_llama_cpp(package: str, folder: Path) -> None:
    _command("npm", "pack", "--silent", "--pack-destination", folder, package)
    for archive in folder.glob("*.tgz"):
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        archive.unlink()


def _command(*parts: Path | str) -> None:
    subprocess.run(list(map(str, parts)), capture_output=True, text=True, timeout=60 * _MINUTES, check=True)
