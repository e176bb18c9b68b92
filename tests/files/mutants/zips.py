"""Zip archives taken apart: fields of their lists, records that are lost, doubled, renamed or exchanged."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

from trilemma.tests.files.mutants import damage

CENTRAL: Final = {4: 2, 6: 2, 8: 2, 10: 2, 12: 4, 16: 4, 20: 4, 24: 4, 28: 2, 30: 2, 32: 2, 34: 2, 38: 4, 42: 4}
"""Offset in an entry of the list -> bytes of the field, such as flags, method, checksum, sizes, lengths, place."""
LOCAL: Final = {4: 2, 6: 2, 8: 2, 10: 4, 14: 4, 18: 4, 22: 4, 26: 2, 28: 2}
"""The same of a record's own header."""
END: Final = {4: 2, 6: 2, 8: 2, 10: 2, 12: 4, 16: 4, 20: 2}
"""The same of the end of the list."""


class Record(NamedTuple):
    """A record with its checksum, as a list says it is."""

    name: str
    content: bytes


def records(raw: bytes) -> list[Record]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        listed = archive.infolist()
    found = []
    for entry in listed:
        # By hand: there may be no checksums.
        start = entry.header_offset + 30 + sum(struct.unpack_from("<HH", raw, entry.header_offset + 26))
        content = raw[start : start + entry.compress_size]
        found.append(Record(entry.filename, zlib.decompress(content, -15) if entry.compress_type else content))
    return found


def packed(parts: list[Record]) -> bytes:
    """An archive without compression, with right checksums; names may be there twice."""
    body, listed = bytearray(), bytearray()
    for name, content in parts:
        encoded = name.encode()
        facts = struct.pack("<8xIIIHH", zlib.crc32(content), len(content), len(content), len(encoded), 0)
        listed += b"PK\x01\x02" + struct.pack("<HH", 20, 20) + facts + struct.pack("<HHHII", 0, 0, 0, 0, len(body))
        listed += encoded
        body += b"PK\x03\x04" + struct.pack("<H", 20) + facts + encoded + content
    end = struct.pack("<HHHHIIH", 0, 0, len(parts), len(parts), len(listed), len(body), 0)
    return bytes(body + listed) + b"PK\x05\x06" + end


def _field(raw: bytes, magic: bytes, fields: dict[int, int], dice: random.Random) -> bytes:
    starts = [place for place in range(len(raw) - 22) if raw.startswith(magic, place)]
    if not starts:
        return damage.flip(raw, dice)
    offset, size = dice.choice([*fields.items()])
    place = dice.choice(starts) + offset
    old = int.from_bytes(raw[place : place + size], "little")
    new = dice.choice((*damage.NUMBERS, old + 1, old - 1, old * 2, old ^ 1 << dice.randrange(8 * size)))
    return raw[:place] + (new % 2 ** (8 * size)).to_bytes(size, "little") + raw[place + size :]


def list_field(raw: bytes, dice: random.Random) -> bytes:
    return _field(raw, b"PK\x01\x02", CENTRAL, dice)


def header_field(raw: bytes, dice: random.Random) -> bytes:
    return _field(raw, b"PK\x03\x04", LOCAL, dice)


def end_field(raw: bytes, dice: random.Random) -> bytes:
    return _field(raw, b"PK\x05\x06", END, dice)


def no_checksums(raw: bytes, dice: random.Random) -> bytes:
    """The list says that there are none, and one bit of the file is another."""
    changed = bytearray(damage.flip(raw, dice))
    place = -1
    while (place := changed.find(b"PK\x01\x02", place + 1)) >= 0 and place + 20 <= len(changed):
        changed[place + 16 : place + 20] = bytes(4)
    return bytes(changed)


def exchanged(raw: bytes, dice: random.Random) -> bytes:
    """Two entries of the list point at each other's records, checksums and sizes as they were, or with them."""
    starts = [place for place in range(len(raw) - 46) if raw.startswith(b"PK\x01\x02", place)]
    first, second = dice.sample(starts, 2) if len(starts) > 1 else (0, 0)
    changed = bytearray(raw)
    for start, end in ((42, 46), *(((16, 28),) if dice.random() < 0.5 else ())):
        changed[first + start : first + end] = raw[second + start : second + end]
        changed[second + start : second + end] = raw[first + start : first + end]
    return bytes(changed)


def lost(raw: bytes, dice: random.Random) -> bytes:
    parts = records(raw)
    del parts[dice.randrange(len(parts))]
    return packed(parts)


def doubled(raw: bytes, dice: random.Random) -> bytes:
    """A record twice, the second one with other content."""
    parts = records(raw)
    name, content = dice.choice(parts)
    other = damage.flip(content, dice) if content else b"x"
    second = Record(name, dice.choice((content, other, dice.choice(parts).content)))
    parts.insert(dice.randrange(len(parts) + 1), second)
    return packed(parts)


def renamed(raw: bytes, dice: random.Random) -> bytes:
    """A record under another name, in the list and in its header; or in another folder."""
    parts = records(raw)
    place = dice.randrange(len(parts))
    name = parts[place].name
    new = dice.choice((f"../{name}", f"/{name}", name.upper(), f"{name}/", name.replace("/", "\\"), f"{name}0", "x"))
    parts[place] = parts[place]._replace(name=new)
    return packed(parts)


def shuffled(raw: bytes, dice: random.Random) -> bytes:
    parts = records(raw)
    dice.shuffle(parts)
    return packed(parts)


def within(raw: bytes, dice: random.Random, suffix: str, change: Callable[[bytes, random.Random], bytes]) -> bytes:
    """A record whose name ends so, changed, with its right checksum."""
    parts = records(raw)
    places = [place for place, part in enumerate(parts) if part.name.endswith(suffix) and part.content]
    place = dice.choice(places)
    parts[place] = parts[place]._replace(content=change(parts[place].content, dice))
    return packed(parts)


BOUND: Final = (list_field, list_field, header_field, end_field, exchanged, doubled, shuffled, lost, renamed)
"""Damage after which the archive's checksums still tell what was saved."""
