from __future__ import annotations

import contextlib
import string

from hypothesis import given
from hypothesis import strategies as st

from pellucid.urls import TCPURL, URL, UnixURL, parse_url

names = st.text(string.ascii_letters + string.digits + "._-", min_size=1)
ipv6_addresses = st.ip_addresses(v=6).map(str)
hosts = st.one_of(
    names,
    st.ip_addresses(v=4).map(str),
    ipv6_addresses,
    st.builds("{}%{}".format, ipv6_addresses, names),
)
paths = st.text(st.characters(exclude_characters="\0", codec="utf-8")).map("/{}".format)
urls = st.one_of(
    st.builds(TCPURL, hosts, st.integers(0, 65535), st.booleans()),
    st.builds(UnixURL, paths),
)


@given(urls)
def test_every_url_is_read_back_from_what_it_prints(url: URL) -> None:
    assert parse_url(str(url)) == url


@given(urls)
def test_a_url_prints_in_printable_ascii_without_spaces(url: URL) -> None:
    assert set(str(url)) <= set(string.ascii_letters + string.digits + string.punctuation)


almost_urls = st.builds(
    "{}{}".format,
    st.sampled_from(["", "pb:", "pb://", "pbs://", "pbs://[", "pb+unix:", "pb+unix:/"]),
    st.text(st.one_of(st.sampled_from("/:@?#[]%.a1"), st.characters())),
)


@given(almost_urls)
def test_any_text_is_a_url_that_keeps_its_meaning_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        url = parse_url(text)
        assert parse_url(str(url)) == url
