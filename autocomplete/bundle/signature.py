"""Ed25519 signatures of SHA256SUMS, which prove who made a bundle."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from autocomplete.common.errors import UserError

PUBLIC_KEY = Path("keys/release.pem")  # of those who release bundles, in git
SIZE = 64  # bytes (RFC 8032)


def sign(key: Path, content: bytes) -> bytes:
    """Signs content with the private key in a PEM file without a password."""
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except FileNotFoundError:
        raise UserError(f"the private key {key} does not exist") from None
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise UserError(f"{key} is no Ed25519 private key in PEM (`openssl genpkey -algorithm ed25519` makes one)")
    return private.sign(content)


def private_key(path: str | None, repository: Path) -> Path:
    """The path of a private key, which must lie outside of a repository and belong to the public key in it.

    Raises:
      UserError: if there is none, if it lies inside, or if the public key is missing or another's.
    """
    if not path:
        raise UserError(
            "say key=<path of an Ed25519 private key> or set AUTOCOMPLETE_KEY; "
            "`openssl genpkey -algorithm ed25519` makes one"
        )
    key = Path(path).expanduser()
    signature = sign(key, b"")
    if key.resolve().is_relative_to(repository):
        raise UserError(f"{key} lies in the repository; keep the private key where git cannot take it up")
    if not PUBLIC_KEY.is_file():
        raise UserError(f"{PUBLIC_KEY} is missing: `openssl pkey -in {key} -pubout -out {PUBLIC_KEY}`, and commit it")
    try:
        check(PUBLIC_KEY, b"", signature)
    except UserError:
        raise UserError(f"{PUBLIC_KEY} does not belong to {key}: teams could not verify the release") from None
    return key


def check(key: Path, content: bytes, signature: bytes) -> None:
    """Raises UserError if the owner of a public key (a PEM file) did not sign the content with this signature."""
    try:
        public = load_pem_public_key(key.read_bytes())
    except FileNotFoundError:
        raise UserError(f"the public key {key} does not exist") from None
    except ValueError:
        public = None
    if not isinstance(public, Ed25519PublicKey):
        raise UserError(f"{key} is no Ed25519 public key in PEM")
    try:
        public.verify(signature, content)
    except InvalidSignature:
        raise UserError(f"the signature is not by the owner of {key}: the bundle is forged or damaged") from None
