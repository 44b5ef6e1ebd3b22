"""Tests of pages, parsed as a browser does: the elements count, not their spelling."""

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from html.parser import HTMLParser
from unicodedata import category
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CHECKOUT

from trio_http.file_server.listing.page import (
    Entry,
    Uploads,
    as_json,
    href,
    in_order,
    page,
    policy,
    readable_size,
    shown,
    timestamp,
)

VOID = {"meta", "input"}

FOLDER = Entry("photos", None, 0)
FILE = Entry("notes.txt", 1_234_567, 1_700_000_000)
ENTRIES = [FILE, FOLDER]


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    inside: list["Element"] = field(default_factory=list)
    text: str = ""  # everything within, like textContent

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        wanted = {name.rstrip("_").replace("_", "-"): attributes[name] for name in attributes}
        return [
            element
            for element in self.inside
            if element.tag == tag and wanted.items() <= element.attributes.items()
        ]

    def one(self, tag: str, **attributes: str) -> "Element":
        (element,) = self.all(tag, **attributes)
        return element

    def link(self) -> str:
        return self.one("a").attributes["href"] or ""


class Reader(HTMLParser):
    """Collects every element, and rejects end tags without a start tag."""

    def __init__(self) -> None:
        super().__init__()
        self.document = Element("", {})
        self.open = [self.document]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        for outer in self.open:
            outer.inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for outer in self.open:
            outer.text += data


def read(html: str) -> Element:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.document]
    return reader.document


def look(*entries: Entry, path: Sequence[str] = (), uploads: Uploads = Uploads.OFF) -> Element:
    return read(page(path, entries, uploads).html)


def rows(document: Element) -> list[Element]:
    return document.one("tbody", id="entries").all("tr")


def names(document: Element) -> list[str]:
    return [row.one("a").text for row in rows(document)]


def raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


any_bytes = st.binary(min_size=1, max_size=40)
any_name = any_bytes.map(lambda data: data.decode("utf-8", "surrogateescape")) | st.text(
    st.sampled_from("<>&\"'/?#%;:\\ \n\r\t\0\x7f\x85\u2028\u202e\u2067aé€\udcff"), min_size=1
)


# Accessibility: reading, screen readers and keyboards.


def test_page_says_which_directory_it_shows() -> None:
    html = page(["photos", "2024"], ENTRIES).html
    document = read(html)
    assert html.startswith("<!doctype html>\n")
    assert document.one("html").attributes == {"lang": "en"}
    assert len(document.all("meta", charset="utf-8")) == 1
    assert len(document.all("meta", name="viewport")) == 1
    assert document.one("title").text == "2024 · Files"
    assert document.one("h1").one("bdi").text == "2024"
    for landmark in ("header", "nav", "main", "search"):
        assert len(document.all(landmark)) == 1


def test_root_has_a_name_without_its_path_on_the_machine() -> None:
    document = look(FILE)
    assert document.one("title").text == "Files"
    assert document.one("h1").text == "Files"


def test_table_names_its_rows_and_columns() -> None:
    table = look(*ENTRIES).one("table")
    assert table.one("caption").text
    headings = table.one("thead").all("th", scope="col")
    assert [heading.text for heading in headings] == ["Name", "Size", "Modified UTC"]
    for row in table.one("tbody").all("tr"):
        assert len(row.one("th", scope="row").all("a")) == 1


def test_roles_of_the_table_are_explicit() -> None:
    table = look(*ENTRIES, path=["a"], uploads=Uploads.ON).one("table", role="table")
    for part in [*table.all("thead"), *table.all("tbody")]:
        assert part.attributes["role"] == "rowgroup"
    for row in table.all("tr"):
        assert row.attributes["role"] == "row"
    for heading in table.all("th"):
        scope = heading.attributes["scope"]
        assert (
            heading.attributes["role"] == {"col": "columnheader", "row": "rowheader"}[scope or ""]
        )
    for cell in table.all("td"):
        assert cell.attributes["role"] == "cell"


def test_columns_have_sort_buttons_that_are_disabled_without_scripts() -> None:
    headings = look(FILE).one("thead").all("th")
    assert [heading.attributes.get("aria-sort") for heading in headings] == [
        "ascending",
        None,
        None,
    ]
    for heading in headings:
        button = heading.one("button", type="button")
        assert "disabled" in button.attributes


def test_filter_has_a_label_and_an_output() -> None:
    search = look(FILE).one("search")
    assert search.one("label", for_="filter").text == "Filter"
    assert len(search.all("input", id="filter", type="search")) == 1
    assert len(search.all("output", for_="filter")) == 1


def test_sizes_and_times_are_readable_and_exact() -> None:
    row = rows(look(FILE))[0]
    size = row.one("data")
    assert size.text == "1.2 MiB"
    assert size.attributes == {"value": "1234567", "title": "1,234,567 bytes"}
    time = row.one("time")
    assert time.text == "2023-11-14 22:13"
    assert time.attributes["datetime"] == "2023-11-14T22:13:20Z"
    assert time.attributes["title"] == "2023-11-14 22:13:20 UTC"


def test_directory_has_a_time_but_no_size_and_a_link_with_a_slash() -> None:
    row = rows(look(FOLDER))[0]
    assert row.all("data") == []
    assert row.one("time").attributes["datetime"] == "1970-01-01T00:00:00Z"
    assert row.link() == "./photos/"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], ""),
        ([FOLDER], "1 folder"),
        ([FILE], "1 file · 1.2 MiB"),
        ([Entry("nothing", 0, 0)], "1 file · 0 B"),
        ([*ENTRIES, Entry("b", None, 0), Entry("c", 1, 0)], "2 folders · 2 files · 1.2 MiB"),
        ([Entry(str(n), 1, 0) for n in range(1200)], "1,200 files · 1.2 KiB"),
    ],
)
def test_summary_counts_entries(entries: list[Entry], expected: str) -> None:
    assert look(*entries).one("p", id="summary").text == expected


def test_summary_has_the_exact_size() -> None:
    total = look(FILE, Entry("b", 433, 0)).one("p", id="summary").one("data")
    assert total.attributes == {"value": "1235000", "title": "1,235,000 bytes"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["a"], [("../", "Files")]),
        (["a", "b"], [("../../", "Files"), ("../", "a")]),
        (["<i>", "b", "c"], [("../../../", "Files"), ("../../", "<i>"), ("../", "b")]),
        (["caf\udce9", "b"], [("../../", "Files"), ("../", "caf\ufffd")]),
    ],
)
def test_each_parent_directory_has_a_link(path: list[str], expected: list[tuple[str, str]]) -> None:
    way = look(FILE, path=path).one("nav", aria_label="Folders above")
    assert [(step.link(), step.one("bdi").text) for step in way.all("li")] == expected


def test_root_has_no_parent() -> None:
    document = look(FILE)
    assert document.all("nav") == []
    assert document.all("a", href="../") == []


@pytest.mark.parametrize(("uploads", "columns"), [(Uploads.OFF, "3"), (Uploads.ON, "4")])
def test_row_of_the_parent_is_not_an_entry(uploads: Uploads, columns: str) -> None:
    document = look(FILE, path=["a"], uploads=uploads)
    first, second = document.all("tbody")
    assert first.link() == "../"
    assert first.one("th").attributes["colspan"] == columns
    assert second.attributes["id"] == "entries"


def test_empty_directory_says_so_and_links_to_its_parent() -> None:
    document = look(path=["a"])
    assert document.all("table") == []
    empty = document.one("p", class_="empty")
    assert empty.text == "This folder is empty. Parent folder"
    assert empty.link() == "../"


def test_empty_root_has_no_link() -> None:
    assert look().one("p", class_="empty").text == "This folder is empty."


# Order.


@pytest.mark.parametrize(
    ("given_names", "expected"),
    [
        (["b", "a", "C"], ["a", "b", "C"]),  # case does not matter
        (["STRASSE 2", "Straße 1"], ["Straße 1", "STRASSE 2"]),  # casefolded, not only lowercased
        (["a10", "a9", "a"], ["a", "a9", "a10"]),  # numbers by value
        (["v1.10.0", "v1.9.3"], ["v1.9.3", "v1.10.0"]),
        (["07", "7"], ["07", "7"]),  # the same value, but always in the same order
        (["a", "A"], ["A", "a"]),
        (["9" * 5000, "1"], ["1", "9" * 5000]),  # int() refuses such numbers
    ],
)
def test_names_are_in_the_order_that_people_expect(
    given_names: list[str], expected: list[str]
) -> None:
    entries = [Entry(name, 1, 0) for name in given_names]
    assert [entry.name for entry in in_order(entries)] == expected
    assert [entry.name for entry in in_order(entries[::-1])] == expected


def test_directories_are_first() -> None:
    entries = [Entry("a", 0, 0), Entry("z", None, 0), Entry("b", None, 0)]
    assert names(look(*entries)) == ["b", "z", "a"]


# Names.


@pytest.mark.parametrize(
    ("name", "text", "link"),
    [
        ("a b.txt", "a b.txt", "./a%20b.txt"),
        ("50%?#.txt", "50%?#.txt", "./50%25%3F%23.txt"),
        ("<script>alert(1)", "<script>alert(1)", "./%3Cscript%3Ealert%281%29"),
        ("</title></style>", "</title></style>", "./%3C%2Ftitle%3E%3C%2Fstyle%3E"),
        ("\" onclick='x'", "\" onclick='x'", "./%22%20onclick%3D%27x%27"),
        ("&lt;", "&lt;", "./%26lt%3B"),  # looks escaped already
        ("&copy", "&copy", "./%26copy"),  # a character reference even without its semicolon
        ("javascript:x", "javascript:x", "./javascript%3Ax"),  # not a scheme
        ("$title", "$title", "./%24title"),
        ("é", "é", "./%C3%A9"),
        ("\udce9", "\ufffd", "./%E9"),  # Latin-1: linked by its bytes, but not valid text
        ("\udcf0\udc9f", "\ufffd", "./%F0%9F"),  # the beginning of a character
        ("\ud800", "\ufffd" * 3, "./%ED%A0%80"),  # only Windows has such names
        ("two\nlines", "two\u240alines", "./two%0Alines"),
        ("\t\r\x7f", "\u2409\u240d\u2421", "./%09%0D%7F"),
        ("\x85\u2028", "\ufffd\ufffd", "./%C2%85%E2%80%A8"),  # line ends other than LF
        ("\u202egpj.exe", "\ufffdgpj.exe", "./%E2%80%AEgpj.exe"),  # would read exe.jpg
        ("\u2066a\u2069", "\ufffda\ufffd", "./%E2%81%A6a%E2%81%A9"),  # would end the isolation
        ("עולם", "עולם", "./%D7%A2%D7%95%D7%9C%D7%9D"),
        ("👩\u200d🚀", "👩\u200d🚀", "./%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80"),  # one picture
    ],
)
def test_name_is_shown_and_linked(name: str, text: str, link: str) -> None:
    entry = Entry(name, 1, 0)
    row = rows(look(entry, uploads=Uploads.ON))[0]
    assert row.one("bdi").text == text
    assert row.one("button").attributes["aria-label"] == f"Delete {text}"
    assert row.link() == link
    assert row.one("a").attributes == {"href": link}


@given(any_name, st.sampled_from([None, 5]), st.sampled_from(Uploads))
def test_link_has_exactly_the_bytes_of_the_name(
    name: str, size: int | None, uploads: Uploads
) -> None:
    (row,) = rows(look(Entry(name, size, 0), path=[name], uploads=uploads))
    link = row.link()
    assert re.fullmatch(r"\./[A-Za-z0-9_.~%-]*/?", link)
    assert link.endswith("/") == (size is None)
    assert unquote_to_bytes(link.removeprefix("./").removesuffix("/")) == raw(name)


@given(any_name, st.sampled_from(Uploads))
def test_name_cannot_add_markup(name: str, uploads: Uploads) -> None:
    def shape(name: str) -> list[tuple[str, list[str]]]:
        entries = [Entry(name, 1, 0), Entry(name, None, 0)]
        document = look(*entries, path=[name, name], uploads=uploads)
        return [(element.tag, [*element.attributes]) for element in document.inside]

    assert shape(name) == shape("x")


@given(any_name)
def test_shown_name_is_one_line_of_text(name: str) -> None:
    text = shown(name)
    assert text.encode()
    assert len(text.splitlines()) == 1
    assert not any(category(character) == "Cc" for character in text)


# Numbers.


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (102_348, "99.9 KiB"),
        (102_349, "100 KiB"),  # not 100.0: three digits need no fraction
        (1_048_063, "1023 KiB"),
        (1_048_064, "1.0 MiB"),  # not 1024 KiB
        (5 * 1024**3, "5.0 GiB"),
        (2**63 - 1, "8.0 EiB"),
        (5000 * 1024**6, "5000 EiB"),  # the largest unit
    ],
)
def test_size_is_readable(size: int, expected: str) -> None:
    assert readable_size(size) == expected


@pytest.mark.parametrize(
    ("modified", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000.999, "2023-11-14T22:13:20Z"),
        (-0.5, "1969-12-31T23:59:59Z"),  # rounded down, not towards 1970
        (253_402_300_799.9, "9999-12-31T23:59:59Z"),
        (float("inf"), "9999-12-31T23:59:59Z"),  # later than ISO 8601 can express
        (-1e300, "0001-01-01T00:00:00Z"),
    ],
)
def test_time_is_in_utc_to_the_second(modified: float, expected: str) -> None:
    assert timestamp(modified) == expected


# Security.


@pytest.mark.parametrize("uploads", Uploads)
def test_policy_allows_the_page_and_nothing_else(uploads: Uploads) -> None:
    result = page([], ENTRIES, uploads)
    document = read(result.html)

    def hashes(tag: str) -> list[str]:
        return [
            f"'sha256-{b64encode(sha256(element.text.encode()).digest()).decode()}'"
            for element in document.all(tag)
        ]

    directives = dict(part.split(" ", 1) for part in result.policy.split("; "))
    assert directives.pop("style-src").split() == hashes("style")
    assert directives.pop("script-src").split() == hashes("script")
    connect = {"connect-src": "'self'"} if uploads is Uploads.ON else {}
    assert directives == connect | {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert result.policy == policy(uploads)


@pytest.mark.parametrize("uploads", Uploads)
def test_page_loads_nothing_from_elsewhere(uploads: Uploads) -> None:
    html = page(["a"], ENTRIES, uploads).html
    for element in read(html).inside:
        assert not {"style", "src", "srcset"} & {*element.attributes}
        assert not any(name.startswith("on") for name in element.attributes)
        assert (element.attributes.get("href") or "./").startswith(("./", "../"))
    assert not re.search(r"\burl\(|@import|\b(?:https?|data):", html)
    assert "\r" not in html  # browsers convert CR to LF before they check a hash


@pytest.mark.parametrize("uploads", Uploads)
def test_ids_that_scripts_use_exist(uploads: Uploads) -> None:
    document = look(*ENTRIES, uploads=uploads)
    ids = [element.attributes["id"] for element in document.inside if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    scripts = "".join([script.text for script in document.all("script")])
    assert {*re.findall(r'getElementById\("(\w+)"\)', scripts)} <= {*ids}
    assert {label.attributes["for"] for label in document.all("label")} <= {*ids}
    for described in document.all("dialog"):
        assert described.attributes["aria-labelledby"] in ids


def test_both_colour_schemes_are_supported() -> None:
    style = look().one("style").text
    assert "color-scheme: light dark" in style
    assert "prefers-color-scheme: dark" in style


# Uploads.


def test_read_only_page_has_no_form_or_button_to_change_files() -> None:
    document = look(*ENTRIES)
    assert document.all("form") == []
    assert document.all("dialog") == []
    assert len(document.all("script")) == 1
    assert document.one("tbody").all("button") == []


def test_form_uploads_without_a_script() -> None:
    document = look(*ENTRIES, uploads=Uploads.ON)
    form = document.one("form", id="upload", action="./", method="post")
    assert form.attributes["enctype"] == "multipart/form-data"
    chosen = form.one("input", type="file", name="file")
    assert "multiple" in chosen.attributes
    assert form.one("label", for_="file").text == "Upload"
    (submit,) = [button for button in form.all("button") if "type" not in button.attributes]
    assert "scripted" not in (submit.attributes.get("class") or "")


def test_status_messages_are_announced() -> None:
    document = look(uploads=Uploads.ON)
    assert document.one("p", id="news").attributes["role"] == "status"
    assert document.one("ul", id="transfers").attributes["aria-label"] == "Uploads"


def test_files_have_a_delete_button_and_directories_have_none() -> None:
    document = look(*ENTRIES, uploads=Uploads.ON)
    assert document.one("thead").all("th")[-1].text == "Delete"
    directory, file = rows(document)
    assert len(directory.all("td")) == len(file.all("td"))
    assert directory.all("button") == []
    assert file.one("button", type="button").attributes["aria-label"] == "Delete notes.txt"


# JSON.


def test_json_contains_everything_of_the_page() -> None:
    assert json.loads(as_json(["a", "b"], ENTRIES)) == {
        "path": ["a", "b"],
        "entries": [
            {
                "name": "photos",
                "kind": "folder",
                "size": None,
                "modified": "1970-01-01T00:00:00Z",
                "href": "./photos/",
            },
            {
                "name": "notes.txt",
                "kind": "file",
                "size": 1_234_567,
                "modified": "2023-11-14T22:13:20Z",
                "href": "./notes.txt",
            },
        ],
    }


entries_of_a_folder = st.lists(
    st.builds(
        Entry,
        any_name,
        st.none() | st.integers(0, 2**63),
        st.floats(-62_135_596_800, 253_402_300_799),
    ),
    max_size=4,
)


@given(entries_of_a_folder)
def test_json_can_be_parsed(entries: list[Entry]) -> None:
    text = as_json([entry.name for entry in entries], entries)
    assert text.encode()  # valid text that can be sent
    for entry, found in zip(in_order(entries), json.loads(text)["entries"], strict=True):
        assert found["name"] == raw(entry.name).decode(errors="replace")
        assert found["href"] == href(entry)
        assert found["size"] == entry.size
        seconds = datetime.fromisoformat(found["modified"]).timestamp()
        assert seconds <= entry.modified < seconds + 1


@given(entries_of_a_folder)
def test_json_and_page_have_the_same_order(entries: list[Entry]) -> None:
    document = look(*entries)
    links = [row.link() for row in rows(document)] if entries else []
    assert [entry["href"] for entry in json.loads(as_json([], entries))["entries"]] == links


# Start.


def test_resources_are_read_for_the_first_page_only() -> None:
    code = """
import sys
opened = []
def note(event, arguments):
    if event == "open" and "listing_page" in str(arguments[0]):
        opened.append(arguments[0])
sys.addaudithook(note)
from trio_http.file_server.listing.page import page
assert not opened, opened
page([], [])
assert opened
count = len(opened)
page([], [])
assert len(opened) == count
"""
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)
