"""Archives inside a bundle, looked into without being unpacked."""

import zipfile
from pathlib import Path, PurePosixPath

from autocomplete.common.errors import UserError

SUFFIXES = (".aar", ".jar", ".zip")
# What an archive may grow to: models do not compress by half, and the rest is small.
_GROWTH, _ALLOWANCE = 4, 1 << 20


def check(path: Path) -> None:
    """Raises UserError where an archive is damaged, leads out of its folder, or holds far more than its own size."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for entry in entries:
                parts = PurePosixPath(entry.filename.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts:
                    raise UserError(f"{path} holds {entry.filename!r}, which leads out of its folder")
            total, most = sum(e.file_size for e in entries), _GROWTH * path.stat().st_size + _ALLOWANCE
            if total > most:
                raise UserError(f"{path} unpacks to {total:,} bytes, more than the plausible {most:,}: a bomb?")
            bad = archive.testzip()  # reads no more of an entry than it declares
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise UserError(f"{path} is no sound archive ({error})") from None
    if bad is not None:
        raise UserError(f"{path}: {bad} is damaged")
