"""A gzip stream (RFC 1952) put together of pieces that were packed one by one.

Each piece is deflated to a byte's edge and looks back at no other, so that it can stand in any stream. The
checksum of the whole follows from those of the pieces: they are not read again.
"""

import zlib
from collections.abc import Iterable

from msgspec import Struct

LEVEL = 6
"""How hard is tried."""
BEGIN = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))
"""Without a time: replicas send the same bytes."""

_LAST_BLOCK = b"\x03\x00"
_POLYNOMIAL = 0xEDB88320
_ONE, _X_TO_8 = 1 << 31, 1 << 23
"""1 and x^8 as zlib has them: the highest bit is the lowest power."""


class Packed(Struct, frozen=True, gc=False):
    """A piece, deflated. `crc` and `size` are of what it holds; `shift`: what so many bytes do to a CRC."""

    deflated: bytes
    crc: int
    size: int
    shift: int


def pack(octets: bytes) -> Packed:
    """Deflate a piece."""
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflate.compress(octets) + deflate.flush(zlib.Z_FULL_FLUSH)
    return Packed(deflated, zlib.crc32(octets), len(octets), _shift(len(octets)))


def ending(pieces: Iterable[Packed]) -> bytes:
    """What comes after the pieces of a stream: an empty last block, checksum and size."""
    crc = size = 0
    for piece in pieces:
        crc, size = _product(crc, piece.shift) ^ piece.crc, size + piece.size
    return _LAST_BLOCK + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def _shift(size: int) -> int:
    """x^(8 size), modulo the polynomial of the CRC."""
    found, power = _ONE, _X_TO_8
    while size:
        if size & 1:
            found = _product(found, power)
        power = _product(power, power)
        size >>= 1
    return found


def _product(one: int, other: int) -> int:
    """The product of two polynomials over GF(2), modulo that of the CRC."""
    found = 0
    while one:
        if one & _ONE:
            found ^= other
        one = one << 1 & 0xFFFFFFFF
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return found
