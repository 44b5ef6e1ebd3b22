"""Charsets by label, with the meaning that the WHATWG Encoding Standard gives them.

Browsers follow that standard, so pages and forms are written in its charsets: ``iso-8859-1`` is
windows-1252, and ``shift_jis`` has the characters that Windows added. The library
``webencodings`` knows all labels.

Python's own registry is never asked. It has codecs that are not charsets (base64), that hide
scripts from filters (utf-7), or that take quadratic time (punycode), and it remembers each
unknown name that it is asked for.
"""

from __future__ import annotations

import codecs
from functools import lru_cache

# The charsets of the standard by name, except ``replacement``, which marks charsets that must
# not be decoded, and ``x-user-defined``, which is for legacy scripts.
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

# The nearest Python codec, if it has another name. gb18030 adds the characters that gbk lacks.
# All pairs of bytes were compared with Chromium's decoding. Only rare characters differ: 463 in
# euc-jp, 207 in big5, 21 in gbk, and in shift_jis 586 for private use.
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

# Characters that Python's single-byte codecs map differently or not at all.
_ODD = {"koi8-u": {0xAE: "\u045e", 0xBE: "\u040e"}, "windows-1255": {0xCA: "\u05ba"}}

# A byte order mark overrides the label (Encoding 6, "decode").
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))


def decoded(raw: bytes, label: str) -> str:
    """Return bytes as text, decoded in the charset with this label.

    Raises:
        LookupError: the label is unknown.
        ValueError: the bytes are not valid in the charset.
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
    """Return the standard's name for a label, or raise ``LookupError`` for an unknown label."""
    known = label.strip("\t\n\f\r ").lower()
    name = known if known in NAMES else _find(known)
    if name not in NAMES:
        raise LookupError(label)
    return name


def _find(label: str) -> str | None:
    import webencodings  # noqa: PLC0415 - not needed by most programs

    # The library encodes the label, which fails for lone surrogates.
    encoding = webencodings.lookup(label) if label.isascii() else None
    return encoding.name if encoding else None


# Some bytes from 0x80 to 0x9f have no character in Windows code pages. Python rejects these
# bytes; the standard decodes them as control characters. Many texts contain one, from a wrong
# conversion.
@lru_cache(maxsize=len(NAMES))
def _table_of(name: str) -> str:
    """Return the characters of all bytes, or U+FFFE for bytes without one."""
    odd, codec = _ODD.get(name, {}), _CODECS.get(name, name)
    characters = [
        odd.get(byte) or bytes([byte]).decode(codec, "ignore") or _without_character(byte)
        for byte in range(256)
    ]
    return "".join(characters)


def _without_character(byte: int) -> str:
    return chr(byte) if 0x80 <= byte <= 0x9F else "\ufffe"
