"""Ed25519 signatures of SHA256SUMS: who made a bundle."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from autocomplete.common.errors import UserError

PUBLIC = Path("keys/release.pem")  # the maker's public key, in git
SIZE = 64  # bytes (RFC 8032)


def sign(key: Path, content: bytes) -> bytes:
    """The signature of some content by the private key in a PEM file without a password."""
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except FileNotFoundError:
        raise UserError(f"the private key {key} does not exist") from None
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise UserError(f"{key} is no Ed25519 private key in PEM (`openssl genpkey -algorithm ed25519` makes one)")
    return private.sign(content)


def private_key(given: str | None, repository: Path) -> Path:
    """The path of a private key that lies outside of a repository and belongs to the public key in it.

    Raises:
      UserError: where there is none, it lies inside, or the public key is missing or another's.
    """
    if not given:
        raise UserError(
            "say key=<path of an Ed25519 private key> or set AUTOCOMPLETE_KEY; "
            "`openssl genpkey -algorithm ed25519` makes one"
        )
    key = Path(given).expanduser()
    signed = sign(key, b"")
    if key.resolve().is_relative_to(repository):
        raise UserError(f"{key} lies in the repository; keep the private key where git cannot take it up")
    if not PUBLIC.is_file():
        raise UserError(f"{PUBLIC} is missing: `openssl pkey -in {key} -pubout -out {PUBLIC}`, and commit it")
    try:
        check(PUBLIC, b"", signed)
    except UserError:
        raise UserError(f"{PUBLIC} does not belong to {key}: teams could not verify the release") from None
    return key


def check(key: Path, content: bytes, signature: bytes) -> None:
    """Raises UserError where a signature is not that of the content by the owner of a public key (a PEM file)."""
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
