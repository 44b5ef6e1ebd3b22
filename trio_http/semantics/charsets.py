"""Charsets by their labels, which mean what the Encoding Standard of the WHATWG says.

That is what browsers make of them, and so what pages and forms are written in:
``iso-8859-1`` is windows-1252, ``shift_jis`` has the characters that Windows added.
The library ``webencodings`` knows all labels.

Python's own list is never asked. It has codecs that are not charsets (base64) or
hide scripts from filters (utf-7), some that take quadratic time (punycode), and it
remembers each name that it has never heard of.
"""

from __future__ import annotations

import codecs
from functools import lru_cache

# The charsets of the standard by name, less ``replacement``, which is for charsets that
# are not to be decoded, and ``x-user-defined``, which is for scripts of old.
NAMES = frozenset(
    {"utf-8", "utf-16be", "utf-16le", "ibm866", "koi8-r", "koi8-u", "macintosh", "iso-8859-8-i"}
    | {"x-mac-cyrillic", "windows-874", "gbk", "gb18030", "big5", "euc-jp", "iso-2022-jp"}
    | {"shift_jis", "euc-kr"}
    | {f"iso-8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)}
    | {f"windows-125{page}" for page in range(9)}
)

_OF_SEVERAL_BYTES = {"utf-8", "utf-16be", "utf-16le", "gbk", "gb18030", "big5"} | {
    *("euc-jp", "iso-2022-jp", "shift_jis", "euc-kr")
}

# The codec of Python's that comes nearest, where it has another name. What gbk lacks,
# gb18030 adds. All pairs of bytes were compared with what Chromium makes of them. What
# differs are rare characters: 463 in euc-jp, 207 in big5, 21 in gbk, and in shift_jis
# 586 for private use.
_CODECS = {
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "gbk": "gb18030",
    "iso-8859-8-i": "iso-8859-8",
    "macintosh": "mac-roman",
    "shift_jis": "cp932",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac-cyrillic",
}

# What Python's codecs of single bytes have otherwise or not at all.
_ODD = {"koi8-u": {0xAE: "\u045e", 0xBE: "\u040e"}, "windows-1255": {0xCA: "\u05ba"}}

# A mark at the beginning counts for more than a label (Encoding 6, "decode").
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))


def decoded(raw: bytes, label: str) -> str:
    """Return the text that bytes are in the charset with this label.

    ``LookupError`` for a label that is not known, ``ValueError`` for bytes that are
    not valid in the charset.
    """
    name = name_of(label)
    for mark, marked in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(marked)
    if name in _OF_SEVERAL_BYTES:
        return raw.decode(_CODECS.get(name, name))
    text, _ = codecs.charmap_decode(raw, "strict", _table_of(name))
    return text


def name_of(label: str) -> str:
    """Return the name that the standard has for a label; ``LookupError`` where it has none."""
    known = label.strip("\t\n\f\r ").lower()
    name = known if known in NAMES else _find(known)
    if name not in NAMES:
        raise LookupError(label)
    return name


def _find(label: str) -> str | None:
    import webencodings  # noqa: PLC0415 - not needed by most programs

    # The library encodes what it is asked for, which not all text can be.
    encoding = webencodings.lookup(label) if label.isascii() else None
    return encoding.name if encoding else None


# Some bytes from 0x80 to 0x9f have no character in code pages of Windows. Python refuses
# these; in the standard they are controls. Many texts have one, from a wrong conversion.
@lru_cache(maxsize=len(NAMES))
def _table_of(name: str) -> str:
    """Return the characters of all bytes, U+FFFE where there is none."""
    odd, codec = _ODD.get(name, {}), _CODECS.get(name, name)
    characters = [
        odd.get(byte) or bytes([byte]).decode(codec, "ignore") or _without_character(byte)
        for byte in range(256)
    ]
    return "".join(characters)


def _without_character(byte: int) -> str:
    return chr(byte) if 0x80 <= byte <= 0x9F else "\ufffe"
