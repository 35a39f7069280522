"""Ed25519 signatures of SHA256SUMS: who made a bundle."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from stages.errors import UserError

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
