"""A certificate to sign profiles with, made for a test, and OpenSSL to verify what was signed."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from icsfeed.config.schema import ProfileSigning


def made_signing(
    folder: Path, *, expires: datetime | None = None, key_type: trustme.KeyType = trustme.KeyType.ECDSA
) -> ProfileSigning:
    """A certificate, that of an authority between it and the root, and the key; `root.pem` is the root."""
    root = trustme.CA(key_type=key_type)
    authority = root.create_child_ca(key_type=key_type)
    made = authority.issue_cert(
        "cal.example.com", not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=expires, key_type=key_type
    )
    certificate, key = folder / "signing.pem", folder / "signing.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(key))
    root.cert_pem.write_to_path(str(folder / "root.pem"))
    return ProfileSigning(str(certificate), str(key))


def verified(data: bytes, folder: Path, command: str = "cms") -> bytes:
    """What was signed, once OpenSSL has verified it by the root alone."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.fail("openssl is missing: install the package openssl")
    # Any purpose: that of S/MIME would need an e-mail address in the certificate.
    line = [openssl, command, "-verify", "-inform", "DER", "-purpose", "any", "-CAfile"]
    return subprocess.run(
        [*line, str(folder / "root.pem")], input=data, capture_output=True, check=True
    ).stdout
