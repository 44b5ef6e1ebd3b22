"""Tests of charset labels and of decoding."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webencodings.labels import LABELS

from trio_http.semantics.charsets import NAMES, decoded, name_of

# The labels of charsets that may be decoded.
LABELS_OF_CHARSETS = [label for label, name in LABELS.items() if name in NAMES]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("utf-8", "utf-8"),
        ("UTF8", "utf-8"),
        ("\t\n\f\r windows-1252 ", "windows-1252"),  # Encoding 4.2: white space is trimmed
        ("ISO-8859-1", "windows-1252"),
        ("latin1", "windows-1252"),
        ("us-ascii", "windows-1252"),
        ("cp1252", "windows-1252"),
        ("iso-8859-9", "windows-1254"),
        ("Shift_JIS", "shift_jis"),
        ("x-sjis", "shift_jis"),
        ("windows-31j", "shift_jis"),
        ("gb2312", "gbk"),
        ("ks_c_5601-1987", "euc-kr"),
        ("big5-hkscs", "big5"),
        ("tis-620", "windows-874"),
        ("utf-16", "utf-16le"),
    ],
)
def test_labels_have_the_name_of_the_standard(label: str, name: str) -> None:
    assert name_of(label) == name


NO_LABELS = [
    "klingon",
    "iso-8859-17",
    "iso-8859-12",  # never published
    "windows-1259",
    "",
    "utf-8\0",
    "\udcff",
    "é",
    "base64",  # Python has these codecs, but not for text
    "base64_codec",
    "hex",
    "zlib",
    "bz2",
    "rot13",
    "uu",
    "undefined",
    "idna",  # for host names; the next takes quadratic time
    "punycode",
    "unicode_escape",  # for Python source code
    "raw_unicode_escape",
    "mbcs",
    "utf_8",
    "utf-8-sig",
    "utf-7",  # hides scripts from filters
    "utf-32",
    "cp037",
    "replacement",  # the standard's name for charsets that must not be decoded
    "hz-gb-2312",
    "iso-2022-kr",
    "x-user-defined",
]


@pytest.mark.parametrize("label", NO_LABELS)
def test_unknown_labels_raise_lookup_error(label: str) -> None:
    with pytest.raises(LookupError):
        decoded(b"abc", label)


@pytest.fixture
def labels() -> dict[str, str]:
    """Return all labels of the standard."""
    found: dict[str, str] = LABELS
    return found


def test_names_are_the_charsets_of_the_standard(labels: dict[str, str]) -> None:
    assert {labels[name] for name in NAMES} == NAMES
    assert set(labels.values()) - NAMES == {"replacement", "x-user-defined"}


def test_all_labels_of_the_standard_are_known(labels: dict[str, str]) -> None:
    for label, name in labels.items():
        if name in NAMES:
            assert name_of(label) == name
        else:
            with pytest.raises(LookupError):
                name_of(label)


@pytest.mark.parametrize(
    ("raw", "label", "text"),
    [
        (b"", "utf-8", ""),
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"\x80 \x93", "iso-8859-1", "€ “"),  # decoded as windows-1252, despite the label
        (b"\x81\x8d\x8f\x90\x9d", "windows-1252", "\x81\x8d\x8f\x90\x9d"),  # as in browsers
        (b"\x80\x81", "windows-1255", "€\x81"),
        (b"\xca", "windows-1255", "\u05ba"),
        (b"\xae\xbe", "koi8-u", "ўЎ"),
        (b"\xdb", "windows-1256", "غ"),
        (b"\xa1", "tis-620", "ก"),
        (b"\x82\xa0\x87\x40", "shift_jis", "あ①"),  # the last is not in JIS X 0208
        (b"\x81\x60", "shift_jis", "\uff5e"),
        (b"\xc4\xe3\xb1\x84", "gb2312", "你眲"),  # the last is not in GB 2312
        (b"\x81\x30\x81\x30", "gbk", "\x80"),
        (b"\xb0\xa1\x8c\x63", "euc-kr", "가똠"),  # the last is not in KS X 1001
        (b"\xa7\x41\x87\x40", "big5", "你䏰"),  # the last is from Hong Kong
        (b"\xa4\xa2", "euc-jp", "あ"),
        (b'\x1b$B$"\x1b(B', "iso-2022-jp", "あ"),
        (b"\xcd", "koi8-u", "м"),
        (b"\xf9\xec\xe5\xed", "iso-8859-8-i", "שלום"),
        (b"\xa5", "macintosh", "•"),
        (b"\x80", "x-mac-cyrillic", "\u0410"),
        (b"a\x00", "utf-16", "a"),
        (b"\x00a", "utf-16be", "a"),
        # Encoding 6: a byte order mark overrides the label, and is not part of the text.
        (b"\xef\xbb\xbfa", "utf-8", "a"),
        (b"\xef\xbb\xbfa", "windows-1252", "a"),
        (b"\xff\xfea\x00", "utf-16be", "a"),
        (b"\xfe\xff\x00a", "utf-16", "a"),
        (b"a\xef\xbb\xbf", "utf-8", "a\ufeff"),
    ],
)
def test_bytes_are_decoded_as_the_standard_defines(raw: bytes, label: str, text: str) -> None:
    assert decoded(raw, label) == text


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        (b"caf\xe9", "utf-8"),
        (b"\xed\xa0\x80", "utf-8"),  # a surrogate (RFC 3629 3)
        (b"\xc0\xaf", "utf-8"),  # an overlong encoding
        (b"a", "utf-16le"),  # half of a code unit
        (b"\x00\xd8", "utf-16le"),
        (b"\x81\xd9", "windows-1255"),  # neither a character nor a control code
        (b"\x81\xa5", "iso-8859-6"),
        (b"\x82", "shift_jis"),
        (b"\xff\xff", "euc-kr"),
        (b"\xfe\xff\x00", "utf-8"),
    ],
)
def test_invalid_bytes_raise_value_error(raw: bytes, label: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - callers make the message
        decoded(raw, label)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_charset_decodes_ascii(name: str) -> None:
    ascii_text = "".join(map(chr, range(0x20, 0x5C)))
    raw = ascii_text.encode(name) if name.startswith("utf-16") else ascii_text.encode()
    assert decoded(raw, name) == ascii_text


@settings(deadline=None)
@given(st.binary(), st.sampled_from([*NAMES, *LABELS_OF_CHARSETS]))
def test_arbitrary_bytes_are_decoded_or_raise_value_error(raw: bytes, label: str) -> None:
    try:
        text = decoded(raw, label)
    except ValueError:
        return
    assert text.isprintable() or text.encode("utf-8")


@settings(deadline=None)
@given(st.text())
def test_arbitrary_labels_are_known_or_raise_lookup_error(label: str) -> None:
    try:
        assert name_of(label) in NAMES
    except LookupError:
        assert label not in NAMES
