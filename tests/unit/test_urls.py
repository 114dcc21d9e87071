from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pellucid.urls import DEFAULT_PORT, TCPURL, URL, UnixURL, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("pb://example.org:1234", TCPURL("example.org", 1234)),
        ("pbs://example.org:1234", TCPURL("example.org", 1234, tls=True)),
        ("pb://127.0.0.1:1", TCPURL("127.0.0.1", 1)),
        ("pb://[2001:db8::1]:65535", TCPURL("2001:db8::1", 65535)),
        ("pb://[fe80::1%eth0]:8787", TCPURL("fe80::1%eth0")),
        ("pb://my_service-1:8787", TCPURL("my_service-1")),
        ("pb+unix:/run/app.sock", UnixURL("/run/app.sock")),
    ],
)
def test_a_url_is_read_and_printed_back(text: str, url: URL) -> None:
    assert parse_url(text) == url
    assert str(url) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("PB://Example.ORG:08787", "pb://example.org:8787"),
        ("pbs://[2001:DB8:0:0::1]", "pbs://[2001:db8::1]:8787"),
        ("pb+unix:///run/app.sock", "pb+unix:/run/app.sock"),
        ("pb+unix:/tmp/my socket", "pb+unix:/tmp/my%20socket"),
    ],
)
def test_other_ways_to_write_a_url_have_one_canonical_form(text: str, canonical: str) -> None:
    assert str(parse_url(text)) == canonical


def test_a_url_without_a_port_means_the_port_of_perspective_broker() -> None:
    assert parse_url("pb://localhost") == TCPURL("localhost", 8787)
    assert DEFAULT_PORT == 8787


def test_port_0_asks_for_any_free_port() -> None:
    assert parse_url("pb://127.0.0.1:0") == TCPURL("127.0.0.1", 0)


def test_a_server_can_fill_in_the_port_that_it_got() -> None:
    assert str(replace(TCPURL("::1", 0, tls=True), port=4711)) == "pbs://[::1]:4711"


def test_the_path_of_a_unix_socket_is_percent_decoded() -> None:
    assert parse_url("pb+unix:/run/what%3F%23%C3%A9") == UnixURL("/run/what?#é")


def test_equal_addresses_are_equal_urls() -> None:
    assert TCPURL("Example.ORG") == TCPURL("example.org")
    assert TCPURL("0:0:0:0:0:0:0:1") == TCPURL("::1")
    assert UnixURL("//run/app.sock") == UnixURL("/run/app.sock")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the scheme is not"),
        ("localhost:8787", "the scheme is not"),
        ("http://localhost:8787", "the scheme is not"),
        ("pb:localhost:8787", "two slashes are missing"),
        ("pb://", "there is no host"),
        ("pb://:8787", "0.0.0.0"),
        ("pb://localhost:8787/", "nothing may follow"),
        ("pb://localhost:8787/root", "nothing may follow"),
        ("pb://localhost:8787?timeout=1", "no query"),
        ("pb://localhost:8787#root", "no fragment"),
        ("pb://localhost:", "port ''"),
        ("pb://localhost:http", "port 'http'"),
        ("pb://localhost:+80", "port '+80'"),
        ("pb://localhost:\uff18\uff10", "is not a number between 0 and 65535"),
        ("pb://localhost:80\n", r"port '80\n'"),
        ("pb://localhost:65536", "port 65536"),
        ("pb://localhost:" + "9" * 5000, "is not a number between 0 and 65535"),
        ("pb://::1", "needs brackets"),
        ("pb://[::1", "needs brackets"),
        ("pb://[::1]8787", "needs brackets"),
        ("pb://[::g]:1", "'::g' is not an IPv6 address"),
        ("pb://[fe80::1%]:1", "'' is not the name of a network interface"),
        ("pb://[127.0.0.1]:1", "'[127.0.0.1]' is not a host"),
        ("pb://local host:1", "'local host' is not a host"),
        ("pb://bücher.example:1", "xn--"),
        ("pb+unix:", "does not start with /"),
        ("pb+unix:app.sock", "does not start with /"),
        ("pb+unix://host/app.sock", "has no host"),
        ("pb+unix:/app.sock?x", "no query"),
        ("pb+unix:/app.sock#x", "no fragment"),
        ("pb+unix:/app%00.sock", "NUL"),
        ("pb+unix:/app%FF.sock", "UTF-8"),
    ],
)
def test_a_malformed_url_is_refused_with_what_is_wrong_and_what_is_right(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="write it like pb://localhost:8787") as caught:
        parse_url(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["pb://alice:hunter2@host:1", "pbs://alice:hunter2/?#@host", "http://alice:hunter2@host", "alice:hunter2@host:1"],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="write it like") as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)


def test_a_url_that_names_a_user_is_told_where_to_log_in() -> None:
    with pytest.raises(ValueError, match="log in once connected"):
        parse_url("pb://alice@host:1")


@pytest.mark.parametrize(
    ("host", "port"), [("", 1), ("a/b", 1), ("user@host", 1), ("::1]", 1), ("::1%a/b", 1), ("host", -1)]
)
def test_no_url_can_be_made_that_could_not_be_written(host: str, port: int) -> None:
    with pytest.raises(ValueError, match="write it like"):
        TCPURL(host, port)


@pytest.mark.parametrize("wrong", [None, ("pb://localhost:8787",), b"pb://localhost:8787", TCPURL("localhost")])
def test_a_url_that_is_no_text_is_refused_by_its_type(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"a URL is a str, not {type(wrong).__name__}; write it like"):
        parse_url(wrong)
