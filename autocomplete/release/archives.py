"""Checks of the archives inside a bundle, which are never unpacked."""

import zipfile
from pathlib import Path, PurePosixPath

from autocomplete.common.errors import UserError

SUFFIXES = (".aar", ".jar", ".zip")
# How large an archive may be unpacked, by its own size and in bytes: models do not compress by half, the rest is small.
_LARGEST_RATIO, _EXTRA_BYTES = 4, 1 << 20


def check(path: Path) -> None:
    """Raises UserError where an archive is damaged, has a path out of its folder, or unpacks to an implausible size."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for entry in entries:
                inner_path = PurePosixPath(entry.filename.replace("\\", "/"))
                if inner_path.is_absolute() or ".." in inner_path.parts:
                    raise UserError(f"{path} holds {entry.filename!r}, which leads out of its folder")
            unpacked = sum(entry.file_size for entry in entries)
            limit = _LARGEST_RATIO * path.stat().st_size + _EXTRA_BYTES
            if unpacked > limit:
                raise UserError(f"{path} unpacks to {unpacked:,} bytes, more than the plausible {limit:,}: a bomb?")
            damaged_entry = archive.testzip()  # reads no more of an entry than the size that was summed above
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise UserError(f"{path} is no sound archive ({error})") from None
    if damaged_entry is not None:
        raise UserError(f"{path}: {damaged_entry} is damaged")
