"""Ed25519 signatures, by keys in PEM files."""

import subprocess
from pathlib import Path

import pytest

from autocomplete.bundle import signature
from autocomplete.common.errors import UserError
from helpers.bundles import keys


def test_a_signature_is_valid_for_its_key_and_content_only(tmp_path: Path) -> None:
    (private, public), (_, other) = keys(tmp_path, "mine"), keys(tmp_path, "other")
    valid = signature.sign(private, b"content")
    assert len(valid) == signature.SIZE
    signature.check(public, b"content", valid)
    for key, content, candidate in (
        (public, b"contend", valid),
        (other, b"content", valid),
        (public, b"content", valid[:-1]),
        (public, b"content", b""),
    ):
        with pytest.raises(UserError, match="forged or damaged"):
            signature.check(key, content, candidate)


def test_a_key_of_another_kind_is_named(tmp_path: Path) -> None:
    (private, public), rsa = keys(tmp_path, "mine"), tmp_path / "rsa.key"
    subprocess.run(["openssl", "genrsa", "-out", rsa, "2048"], capture_output=True, check=True)
    for key in (rsa, public):
        with pytest.raises(UserError, match=r"is no Ed25519 private key in PEM"):
            signature.sign(key, b"")
    for key in (rsa, private):
        with pytest.raises(UserError, match="is no Ed25519 public key in PEM"):
            signature.check(key, b"", bytes(signature.SIZE))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"private key .*none does not exist"):
        signature.sign(tmp_path / "none", b"")
    with pytest.raises(UserError, match=r"public key .*none does not exist"):
        signature.check(tmp_path / "none", b"", b"")


def test_the_private_key_must_match_the_repository_s_public_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (private, public), (other, _) = keys(tmp_path, "mine"), keys(tmp_path, "other")
    repository = tmp_path / "repository"
    (repository / "keys").mkdir(parents=True)
    monkeypatch.chdir(repository)
    with pytest.raises(UserError, match=r"keys/release\.pem is missing"):
        signature.private_key(str(private), repository)
    signature.PUBLIC_KEY.write_bytes(public.read_bytes())
    assert signature.private_key(str(private), repository) == private
    with pytest.raises(UserError, match="does not belong to"):
        signature.private_key(str(other), repository)
    inside = repository / "release.key"
    inside.write_bytes(private.read_bytes())
    with pytest.raises(UserError, match="lies in the repository"):
        signature.private_key(str(inside), repository)
