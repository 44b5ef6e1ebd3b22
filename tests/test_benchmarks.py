"""Tests of the benchmark without load: parsing, arithmetic, tables, and ending of processes."""

import gzip
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import document as sample_document
from benchmarks import nginx, peers, processes, readme
from benchmarks.asks import BROWSER, Ask, Expected
from benchmarks.cases import CASES, PLAIN, QUICK, USUALLY, Idle, Importing, Load, Log, Manner
from benchmarks.check import Answer, complaint
from benchmarks.client import Answers, Tally, tally
from benchmarks.goals import GOALS, Against, Alone, Beside, Late, judged
from benchmarks.load import Sample, able, choose_tool, parse_h2load, parse_own, parse_wrk
from benchmarks.peers import OURS, PEERS
from benchmarks.processes import Spawn, cpu_seconds, memory, parse_memory, parse_stat, running
from benchmarks.report import Summary, document, number, ratio, table
from benchmarks.run import Result
from hypothesis import given
from hypothesis import strategies as st
from support import CHECKOUT

CLOSE = next(case for case in CASES if isinstance(case, Load) and case.name == "close")

WRK = """\
Running 1s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.64ms    1.30ms   9.13ms   80.45%
    Req/Sec    39.71k    12.82k   56.85k    60.00%
  Latency Distribution
     50%  500.00us
     75%    2.02ms
     90%    3.60ms
     99%    1.50s
  39517 requests in 1.00s, 3.50MB read
Requests/sec:  39356.54
Transfer/sec:      3.49MB
"""
WRK_TROUBLED = WRK.replace(
    "Requests/sec",
    "  Socket errors: connect 1, read 20, write 300, timeout 4000\n"
    "  Non-2xx or 3xx responses: 50000\nRequests/sec",
)

H2LOAD = """\
finished in 1.00s, 35389.00 req/s, 3.14MB/s
requests: 35400 total, 35397 started, 35392 done, 35389 succeeded, 1 failed, 2 errored, 3 timeout
status codes: 35389 2xx, 0 3xx, 1 4xx, 0 5xx
time for request:       23us      8.33ms       225us       476us    97.35%
"""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (WRK, Sample(39356.54, 0.0005, 1.5)),
        (WRK_TROUBLED, Sample(39356.54, 0.0005, 1.5, errors=54321)),
        # Without --latency there are no percentiles.
        (WRK.replace("%  ", "  "), Sample(39356.54)),
    ],
)
def test_output_of_wrk_is_parsed(output: str, expected: Sample) -> None:
    assert parse_wrk(output) == (39517, expected)


def test_output_of_h2load_is_parsed() -> None:
    assert parse_h2load(H2LOAD) == (35389, Sample(35389.0, errors=6))


def test_output_of_own_client_is_parsed() -> None:
    output = '{"answers": 100, "wrong": 1, "seconds": 2.0, "middle": 0.5, "late": null}'
    assert parse_own(output) == (100, Sample(50, 0.5, None, errors=1))


@pytest.mark.parametrize("parse", [parse_wrk, parse_h2load, parse_own])
def test_unknown_output_raises_an_error(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=r"unable|Expecting"):
        parse("unable to connect to 127.0.0.1:1 Connection refused")


def test_requested_tool_is_chosen() -> None:
    assert choose_tool("h2load").name == "h2load"


def test_own_client_replaces_h2load_for_new_connections() -> None:
    h2load, wrk = choose_tool("h2load"), choose_tool("wrk")
    assert [able(h2load, load).name for load in (PLAIN, CLOSE)] == ["h2load", "own"]
    assert [able(wrk, load).name for load in (PLAIN, CLOSE)] == ["wrk", "wrk"]


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", (1, 0, False)),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (1, 0, False)),
        (b"HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nab", (0, 0, False)),  # one byte is missing
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 3, (3, 0, False)),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", (1, 1, False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", (1, 0, True)),
        # An informational response is not the final one (RFC 9110 15.2).
        (b"HTTP/1.1 100 Continue\r\n\r\n", (0, 0, False)),
        # Chunks, one with an extension, and a trailer (RFC 9112 7.1).
        (CHUNKED + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n", (1, 0, False)),
        (CHUNKED + b"3\r\nabc\r\n0\r\n", (0, 0, False)),
    ],
)
@given(cuts=st.lists(st.integers(0, 120)))
def test_responses_are_counted_however_they_are_cut(
    cuts: list[int], data: bytes, expected: tuple[int, int, bool]
) -> None:
    answers = Answers()
    ends = [*sorted(cuts), len(data)]
    for begin, end in zip([0, *ends], ends, strict=False):
        answers.feed(data[begin:end])
    assert (answers.complete, answers.wrong, answers.closing) == expected


def test_tally_counts_requests_and_orders_latencies() -> None:
    latencies = [number / 100 for number in range(100, 0, -1)]
    assert tally(latencies, 2, 3, 5.0) == Tally(200, 3, 5.0, 0.51, 1.0)
    assert tally([], 1, 0, 5.0) == Tally(0, 0, 5.0, None, None)


def test_summary_has_medians_and_extremes() -> None:
    samples = [Sample(100, 1, None, 4), Sample(120, 3, None), Sample(90, 2, None, 2, errors=7)]
    summary = Summary.of(samples)
    assert summary == Summary(100, 90, 120, 2, None, 3, 7)
    assert summary.spread == 0.15


def test_ratio_without_both_sides_is_none() -> None:
    known = {"a": Summary.of([Sample(3)]), "b": Summary.of([Sample(2)])}
    known["nothing"] = Summary.of([Sample(0)])
    assert [ratio(known, "a", other) for other in ("b", "c", "nothing")] == [1.5, None, None]
    assert ratio(known, "c", "a") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.123, "0.12"), (9.999, "10.00"), (12.34, "12.3"), (123.4, "123"), (1234567.8, "1 234 568")],
)
def test_numbers_have_about_three_digits(value: float, expected: str) -> None:
    assert number(value) == expected


RESULTS = [
    Result(PLAIN, "ours", [Sample(40_000, 0.001, 0.002, 25e-6), Sample(50_000, 0.001, 0.002)]),
    Result(PLAIN, "uvicorn", [Sample(30_000, 0.002, 0.012, errors=2)]),
    Result(PLAIN, "nginx", problem="responded with 500"),
]


def test_table_has_the_best_first_and_reports_problems() -> None:
    assert (
        table(PLAIN, RESULTS).splitlines()
        == """\
plain: GET, 13 bytes of text (higher is better)
  server                                  requests/s  spread  ours ÷ it  p50 ms  p99 ms  CPU µs
  trio_http                                   45 000    ±11%       1.00    1.00    2.00    25.0
  Uvicorn (uvloop, httptools) (2 errors)      30 000               1.50    2.00    12.0
  nginx: responded with 500""".splitlines()
    )


def test_table_has_the_least_first_if_less_is_better_and_no_empty_columns() -> None:
    results = [Result(Idle(), "aiohttp", [Sample(8)]), Result(Idle(), "ours", [Sample(4)])]
    assert table(Idle(), results).splitlines()[1:] == [
        "  server              KiB  ours ÷ it",
        "  trio_http          4.00       1.00",
        "  aiohttp (asyncio)  8.00       0.50",
    ]


def test_table_of_failures_reports_problems() -> None:
    assert table(PLAIN, RESULTS[2:]).splitlines()[1:] == ["  server", "  nginx: responded with 500"]


def test_document_contains_every_round() -> None:
    found = json.loads(json.dumps(document({"tool": "wrk"}, [RESULTS, []])))
    assert found["tool"] == "wrk"
    (case,) = found["cases"]
    assert (case["name"], case["unit"], case["better"]) == ("plain", "requests/s", "higher")
    ours, uvicorn, nginx_ = (case["servers"][name] for name in ("ours", "uvicorn", "nginx"))
    assert (ours["median"], ours["ours_to_it"], uvicorn["ours_to_it"]) == (45_000, 1, 1.5)
    assert [sample["value"] for sample in ours["rounds"]] == [40_000, 50_000]
    assert ours["rounds"][0]["cpu"] == 25e-6
    assert (nginx_["median"], nginx_["problem"]) == (None, "responded with 500")


@pytest.mark.parametrize(
    ("options", "system", "described"),
    [
        ("'--prefix=/usr'", "Debian GNU/Linux 12", "3.11.2 (as packaged by Debian GNU/Linux 12)"),
        ("'--enable-optimizations'", None, "3.11.2 (built with --enable-optimizations)"),
        ("'--enable-shared'", None, "3.11.2 (built without --enable-optimizations)"),
    ],
)
def test_build_of_python_is_described(options: str, system: str | None, described: str) -> None:
    assert peers.described_build("3.11.2", options, system) == described


def test_versions_contain_the_build_of_the_running_python() -> None:
    assert peers.versions()["python"].startswith(f"{platform.python_version()} (")


ABOUT = {
    "when": "2026-11-21T10:00:00+0000",
    "machine": {"processors": 2},
    "versions": {"python": "3.11.2", "uvicorn": "0.54.0", "hypercorn": "0.17.0", "nginx": "1.22.1"},
    "tool": "wrk",
    "cores": {"server": 0, "load": 1},
    "rounds": 3,
    "seconds": 1,
}


def test_readme_shows_own_figures_and_ratios_of_others() -> None:
    files = next(case for case in CASES if case.name == "file-1k")
    stored = [
        Result(files, "ours", [Sample(2_000)]),
        Result(files, "starlette", [Sample(500)]),
        Result(files, "hypercorn", [Sample(1)]),  # has no column
    ]
    idle = [Result(Idle(), "ours", [Sample(4)]), Result(Idle(), "nginx", [Sample(1)])]
    version = [Result(Importing(), "ours", [Sample(1)]), Result(Importing(), "trio", [Sample(5)])]
    written = readme.section(ABOUT, [RESULTS, stored, version, idle])
    table, picture, legend, about = written.split("\n\n")
    assert table.replace("\N{NO-BREAK SPACE}", "_").splitlines() == [
        "| requests/s | trio_http | Uvicorn | Granian | aiohttp | nginx | bare Trio |",
        "| --- | --: | --: | --: | --: | --: | --: |",
        f"| GET, 13 bytes of text | 45_000 | 0.67{readme.TIMES} † |  |  |  |  |",
        f"| a file of 1 KiB | 2_000 | 0.25{readme.TIMES}\\* |  |  |  |  |",
        f"| {Idle().title} (KiB, less is better) | 4.00 |  |  |  | 0.25{readme.TIMES} |  |",
    ]
    assert picture == "![The same as a chart](tests/benchmarks/chart.svg)"
    assert legend.endswith(f"\n{readme.ERRORS}")
    assert about == (
        "2026-11-21, 2 cores, one core for the server and one for the load (wrk), "
        "medians of 3 rounds of 1 s or more.\n"
        "python 3.11.2, uvicorn 0.54.0, nginx 1.22.1."
    )


def test_readme_omits_errors_and_cases_that_did_not_occur() -> None:
    ours, *others = RESULTS
    written = readme.section({**ABOUT, "cores": {"server": 1, "load": 1}}, [[ours], others, []])
    assert "†" not in written
    assert written.count("\n| ") == 2
    assert "2 cores, shared by all (wrk)" in written


def test_chart_of_the_readme_shows_the_servers_of_its_table() -> None:
    idle = [Result(Idle(), "ours", [Sample(4)])]
    starlette = Result(PLAIN, "starlette", [Sample(4)])  # only for cases that Uvicorn cannot serve
    (panel,) = readme.drawn([[*RESULTS, starlette], idle, []])
    assert [result.peer for result in panel] == ["ours", "uvicorn"]
    assert set(readme.DRAWN) | readme.LEFT_OUT <= {case.name for case in CASES}
    assert {column.peer for column in readme.COLUMNS} <= set(readme.TITLES)


def test_section_of_the_readme_is_replaced() -> None:
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
    once = readme.replaced(text, "new")
    assert once == f"before\n{readme.BEGIN}\n\nnew\n\n{readme.END}\nafter\n"
    assert readme.replaced(once, "new") == once
    readme.replaced(readme.README.read_text("utf-8"), "new")  # it contains the markers


@pytest.mark.parametrize("text", ["", readme.BEGIN, readme.END, f"{readme.END}{readme.BEGIN}"])
def test_readme_without_markers_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="has no <!--"):
        readme.replaced(text, "new")


def test_goals_are_judged_if_both_sides_are_known() -> None:
    def of(value: float, late: float, cpu: float | None = None) -> Summary:
        return Summary.of([Sample(value, late=late, cpu=cpu)])

    known = {
        "plain": {"ours": of(100, 2, 4e-5), "uvicorn": of(50, 3, 1e-4), "trio": of(200, 1)},
        "log": {"ours": of(60, 1), "ours-beside": of(100, 1)},
        "connections-1000": {"ours": of(60, 1)},
        "start": {"ours": of(500, 0)},
        "gzip": {"nginx": of(1, 1)},
    }
    goals = (
        Against("plain", "uvicorn", 1.5),
        Against("plain", "uvicorn", at_most=1.3),
        Against("plain", "uvicorn"),
        Against("plain", "trio", 0.5),
        Against("plain", "granian", 1),  # did not take part
        Beside("log", 0.75),
        Beside("connections-1000", 0.8),
        Alone("start", 400),
        Late("plain", "uvicorn"),
        Late("log", "uvicorn"),
        Against("gzip", "nginx", 2),  # trio_http did not take part
    )
    assert judged(known, goals) == [
        "  reached  plain, to uvicorn: 2.00 (≥ 1.5), by CPU time 2.50",
        "  MISSED   plain, to uvicorn: 2.00 (≤ 1.3), by CPU time 2.50",
        "  info     plain, to uvicorn: 2.00, by CPU time 2.50",
        "  reached  plain, to trio: 0.50 (≥ 0.5)",
        "  MISSED   log, to our plain: 0.60 (≥ 0.75)",
        "  MISSED   start: 500 (≤ 400)",
        "  reached  plain, p99 to uvicorn: 0.67 (≤ 1)",
    ]


def test_goals_and_quick_run_name_existing_cases_and_servers() -> None:
    cases = [case.name for case in CASES]
    peers = [peer.name for peer in PEERS]
    assert len(set(cases)) == len(cases)
    assert len(set(peers)) == len(peers)
    assert set(QUICK) <= set(cases)
    assert {goal.case for goal in GOALS} <= set(cases)
    takes_part = {
        (case.name, peer.name) for case in CASES for peer in PEERS if peer.takes_part_in(case)
    }
    assert {
        (goal.case, goal.peer) for goal in GOALS if isinstance(goal, Against | Late)
    } <= takes_part
    assert {case.name for case in CASES} == {case for case, peer in takes_part if peer == OURS}
    for peer in PEERS:
        assert (peer.only or set()) <= {case for case, name in takes_part if name == peer.name}
    compared = {goal.case for goal in GOALS if isinstance(goal, Beside)}
    assert compared == {case.name for case in CASES if isinstance(case, Load) and case.beside}


def test_request_equals_that_of_wrk() -> None:
    assert Ask("PUT", "/a", (("X", "y"),), 3).head("h:1") == (
        b"PUT /a HTTP/1.1\r\nHost: h:1\r\nX: y\r\nContent-Length: 3\r\n\r\n"
    )
    assert Ask(fields=BROWSER).head("h").count(b"\r\n") == len(BROWSER) + 3


TEXT = {"content-type": "text/plain; charset=utf-8"}
GZIPPED = {**TEXT, "content-encoding": "gzip"}
GREETING = Expected(media_type="text/plain", body=b"hi")


@pytest.mark.parametrize(
    ("answer", "expected", "wrong"),
    [
        (Answer(200, TEXT, b"hi"), GREETING, None),
        (Answer(200, GZIPPED, gzip.compress(b"hi")), GREETING, None),
        (Answer(200, GZIPPED, b"hi"), GREETING, "sent invalid gzip"),
        (Answer(404, TEXT, b"hi"), GREETING, "responded with 404"),
        (Answer(200, {}, b"hi"), GREETING, "sent the type ''"),
        (Answer(200, TEXT, b"ho!"), GREETING, "sent another body, of 3 bytes"),
        (Answer(200, TEXT, b"file"), Expected(media_type="text/plain", document="a"), None),
        (
            Answer(200, TEXT, b"hi"),
            Expected(fields=(("Connection", "close"),)),
            "sent no Connection: close",
        ),
        # The response to an upload may be anything, as long as the file is stored.
        (Answer(204, {}, b""), Expected(statuses=(201, 204)), None),
    ],
)
def test_response_is_checked(
    answer: Answer, expected: Expected, wrong: str | None, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/a").write_bytes(b"file")
    assert complaint(answer, expected, tmp_path) == wrong


def test_configuration_of_nginx_has_one_port_and_the_log_of_its_case(tmp_path: Path) -> None:
    quiet = nginx.configuration(1234, USUALLY, tmp_path, 5000)
    assert "listen 127.0.0.1:1234 " in quiet
    assert "access_log off;" in quiet
    assert "worker_processes 1;" in quiet
    assert quiet.count("{") == quiet.count("}")
    other = nginx.configuration(1234, Manner(Log.ON, 2), tmp_path, 5000)
    assert "access_log off;" not in other
    assert "worker_processes 2;" in other


def test_sample_document_is_128_kib_of_compressible_json() -> None:
    text = sample_document.text()
    assert len(text) == 128 * 1024
    assert len(json.loads(text)) > 100
    # Neither noise nor repetition: as compressible as the responses of real services.
    assert 3 < len(text) / len(gzip.compress(text)) < 10


def test_process_with_any_name_is_parsed() -> None:
    text = "12 (a) (b c) S 1 77 76 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0\n"
    found = parse_stat(text)
    assert (found.number, found.state, found.ticks) == (12, "S", 110)
    assert (found.group, found.session) == (77, 76)


def test_memory_is_in_bytes_and_zero_for_an_ending_process() -> None:
    assert parse_memory("Name:\tx\nVmHWM:\t  20 kB\nVmRSS:\t  10 kB\n", "VmRSS") == 10 * 1024
    assert parse_memory("Name:\tx\n", "VmRSS") == 0


# One process in the group of its parent, and one in its own group, like workers. All ignore
# SIGTERM, and the last one takes a while to end, because it has much memory to release.
STARTING = """\
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"])
large = "import os, time; large = b'x' * 100_000_000; os.write(1, b'yes'); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", large], process_group=0).wait()
"""


def test_leaving_ends_a_process_and_all_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ENDING", 0.1)
    output = tmp_path / "output"
    os.mkfifo(output)
    said = os.open(output, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with running(
            Spawn([sys.executable, "-c", STARTING], {}, tmp_path, output, None)
        ) as process:
            os.set_blocking(said, True)
            assert os.read(said, 10) == b"yes"
            assert cpu_seconds(process.pid) is not None
            assert (memory(process.pid) or 0) > 100_000_000
        assert process.returncode < 0
        os.set_blocking(said, False)
        assert os.read(said, 10) == b""  # no process is left that could write
    finally:
        os.close(said)


def test_benchmark_lists_servers_and_cases() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--list"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    listed = [line.split()[0] for line in ended.stdout.splitlines() if line]
    assert listed == [peer.name for peer in PEERS] + [case.name for case in CASES]
