"""The project's root, and folders that exist until the tests end."""

import atexit
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def kept(name: str) -> Path:
    """A new folder that several tests share; removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix=name))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
