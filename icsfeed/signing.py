"""Signed data (CMS, RFC 5652) with a certificate of the operator, for the profiles of Apple's devices.

By the `cryptography` package, the one module that imports it: the standard library cannot sign. It is an
extra, as few installations have a certificate for this, and it brings 15 MB of compiled code.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7PrivateKeyTypes
    from cryptography.x509 import Certificate

MISSING = "needs the package cryptography: pip install 'icsfeed[signing]'"


class Signer:
    """A certificate, those that vouch for it, and its private key."""

    def __init__(self, certificates: "Sequence[Certificate]", key: "PKCS7PrivateKeyTypes") -> None:
        self._certificate, *self._chain = certificates
        self._key = key

    @property
    def begins(self) -> datetime:
        """When the certificate begins to be valid."""
        return self._certificate.not_valid_before_utc

    @property
    def expires(self) -> datetime:
        """When the certificate expires."""
        return self._certificate.not_valid_after_utc

    def sign(self, data: bytes) -> bytes:
        """Return the data with a signature around it, in DER, with all certificates."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

        builder = PKCS7SignatureBuilder().set_data(data)
        builder = builder.add_signer(self._certificate, self._key, SHA256())
        for certificate in self._chain:
            builder = builder.add_certificate(certificate)
        # Binary: without it, line feeds of the data become CRLF.
        return builder.sign(Encoding.DER, [PKCS7Options.Binary])


def load_signer(certificate_file: str, key_file: str) -> Signer:
    """Read a certificate with its chain, the certificate itself first, and its private key (PEM, all).

    Raise ValueError with a message that names the key of the configuration to correct.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509 import load_pem_x509_certificates
    except ImportError:
        raise ValueError(MISSING) from None
    certificates, key = _read(certificate_file, "certificate_file"), _read(key_file, "key_file")
    # None of the library's own words: they are for programmers.
    try:
        chain = load_pem_x509_certificates(certificates)
    except ValueError:
        raise ValueError("certificate_file holds no certificate that can be used (PEM)") from None
    try:
        # To test the primes of an RSA key takes 50 ms for each profile, and it is the operator's own key.
        private_key = load_pem_private_key(key, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        raise ValueError("key_file needs a passphrase: store the key without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("key_file holds no private key that can be used (PEM)") from None
    # Those that CMS signatures may be made with here.
    if not isinstance(private_key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise ValueError("key_file must hold an RSA or elliptic curve key")
    if private_key.public_key() != chain[0].public_key():
        raise ValueError("key_file does not belong to the first certificate in certificate_file")
    return Signer(chain, private_key)


def _read(file: str, key: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"{key} cannot be read: {error.strerror}") from None
