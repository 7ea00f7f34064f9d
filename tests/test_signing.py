"""Signatures around profiles, verified by OpenSSL, and why a certificate cannot be used."""

import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signing_world import made_signing, verified

from icsfeed.signing import MISSING, load_signer

DATA = b'<?xml version="1.0"?>\n<plist>\n</plist>\n\xc3\xbc\n'


@pytest.mark.parametrize("command", ["cms", "smime"])
@pytest.mark.parametrize("key_type", list(trustme.KeyType))
def test_openssl_verifies_what_was_signed(tmp_path: Path, command: str, key_type: trustme.KeyType) -> None:
    signing = made_signing(tmp_path, key_type=key_type)
    signed = load_signer(signing.certificate_file, signing.key_file).sign(DATA)
    assert DATA in signed, "attached"
    assert verified(signed, tmp_path, command) == DATA


def test_openssl_notices_a_change(tmp_path: Path) -> None:
    signing = made_signing(tmp_path)
    signed = load_signer(signing.certificate_file, signing.key_file).sign(DATA)
    with pytest.raises(subprocess.CalledProcessError):
        verified(signed.replace(b"plist", b"tsilp"), tmp_path)


def _key_file(
    folder: Path,
    key: EllipticCurvePrivateKey | Ed25519PrivateKey,
    encryption: pem.KeySerializationEncryption = pem.NoEncryption(),  # noqa: B008 - immutable
) -> str:
    file = folder / "other.key"
    file.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, encryption))
    return str(file)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    signing = made_signing(tmp_path)
    other, junk = generate_private_key(SECP256R1()), tmp_path / "junk"
    junk.write_text("-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----\n")
    locked = pem.BestAvailableEncryption(b"passphrase")
    for certificate, key, said in (
        (signing.certificate_file, _key_file(tmp_path, other), "does not belong to the first certificate"),
        (signing.certificate_file, str(junk), "key_file holds no private key"),
        (str(junk), signing.key_file, "certificate_file holds no certificate"),
        (str(tmp_path / "none"), signing.key_file, "certificate_file cannot be read: No such file"),
    ):
        with pytest.raises(ValueError, match=said) as caught:
            load_signer(certificate, key)
        assert "hidden" not in str(caught.value)
    with pytest.raises(ValueError, match="needs a passphrase"):
        load_signer(signing.certificate_file, _key_file(tmp_path, other, locked))
    with pytest.raises(ValueError, match="RSA or elliptic curve"):
        load_signer(signing.certificate_file, _key_file(tmp_path, Ed25519PrivateKey.generate()))


def test_without_the_extra_the_message_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['cryptography.exceptions'] = None\n"
        "from icsfeed.signing import load_signer\n"
        "try: load_signer('a', 'b')\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == MISSING
