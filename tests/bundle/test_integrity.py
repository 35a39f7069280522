"""SHA256SUMS: written as sha256sum reads it, and validated strictly."""

import subprocess
from pathlib import Path

import pytest

from autocomplete.bundle import integrity
from autocomplete.common.errors import UserError

HASH = "0" * 64


def hashed_folder(tmp_path: Path) -> Path:
    (tmp_path / "part").mkdir()
    (tmp_path / "part/one").write_text("1")
    (tmp_path / "two").write_text("2")
    integrity.write(tmp_path)
    return tmp_path


def test_sha256sum_reads_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", integrity.FILE],
        cwd=hashed_folder(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["part/one: OK", "two: OK"]
    assert set(integrity.check(tmp_path)) == {"part/one", "two"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        f"{HASH}  a",
        f"{HASH}  ../a\n",
        f"{HASH}  /a\n",
        f"{HASH}  a/../../b\n",
        f"{HASH} *a\n",
        f"{HASH}  a\r\n",
        f"{HASH[:-1]}  a\n",
        f"{HASH.replace('0', 'A')}  a\n",
        f"{HASH}  a\n{HASH}  a\n",
        f"{HASH}  a\\b\n",
        f"{HASH}  .a\n",
        f"{HASH}  a\n\n",
        f"{HASH}  a//b\n",
        "\n",
        f"{HASH}  naïve\n",
    ],
)
def test_malformed_content_is_refused(content: str) -> None:
    with pytest.raises(UserError, match="SHA256SUMS"):
        integrity.parse(content.encode())


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (hashed_folder(tmp_path) / "link").symlink_to("/etc")
    with pytest.raises(UserError, match="link is not listed"):
        integrity.check(tmp_path)
