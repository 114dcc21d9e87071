from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.auth.throttle import Attempt, LoginThrottle

HOME, ELSEWHERE = "203.0.113.5", "198.51.100.7"


def refused(throttle: LoginThrottle, host: str, username: str | None, now: float) -> int | None:
    """Try and fail; after how many seconds to try again, where that was not even looked at."""
    attempt = throttle.begin(host, username, now)
    return None if attempt.is_looked_at else answered(attempt)


def answered(attempt: Attempt) -> int | None:
    """How a login that fails is answered: so many seconds, or as it fails."""
    return None if attempt.refusal is None else attempt.refusal.seconds


def failures(throttle: LoginThrottle, hosts: Any, usernames: Any, now: float = 0.0) -> int:
    """How many logins may fail, one after another, before one is refused."""
    for count, (host, username) in enumerate(zip(hosts, usernames, strict=False)):
        if refused(throttle, host, username, now) is not None:
            return count
    raise AssertionError("none is refused")


def anybody() -> Any:
    return (f"user{number}" for number in range(1000))


def anywhere() -> Any:
    return (f"192.0.{number // 256}.{number % 256}" for number in range(1000))


def test_a_peer_may_fail_so_often_and_no_more_whatever_names_it_tries() -> None:
    assert failures(LoginThrottle(by_peer=10), itertools.repeat(HOME), anybody()) == 10


def test_a_user_may_be_tried_so_often_and_no_more_from_whatever_addresses() -> None:
    assert failures(LoginThrottle(by_user=20), anywhere(), itertools.repeat("alice")) == 20


def test_a_peer_that_is_refused_may_try_again_at_the_time_that_it_was_told() -> None:
    throttle = LoginThrottle(by_peer=2, peer_seconds=6.0)
    assert failures(throttle, itertools.repeat(HOME), anybody()) == 2
    assert refused(throttle, HOME, "alice", 0.5) == 6
    assert refused(throttle, HOME, "alice", 5.9) == 1
    assert refused(throttle, HOME, "alice", 6.0) is None
    assert refused(throttle, HOME, "alice", 6.0) == 6


def test_being_refused_does_not_make_the_wait_longer() -> None:
    throttle = LoginThrottle(by_peer=1, peer_seconds=6.0)
    throttle.begin(HOME, "alice", 0.0)
    assert [refused(throttle, HOME, "alice", 0.0) for _ in range(100)] == [6] * 100


def test_logins_that_succeed_do_not_count() -> None:
    throttle = LoginThrottle(by_peer=1, by_user=1)
    for username in ["alice", None] * 50:
        throttle.begin(HOME, username, 0.0).succeeded()


def test_a_success_does_not_pay_for_failures() -> None:
    throttle = LoginThrottle(by_peer=3)
    throttle.begin(HOME, "mallory", 0.0).succeeded()
    for _ in range(3):
        throttle.begin(HOME, "alice", 0.0)
        attempt = throttle.begin(HOME, "mallory", 0.0)
        assert attempt.is_looked_at  # mallory is known there
        attempt.succeeded()
    assert refused(throttle, HOME, "alice", 0.0) is not None


def test_logins_that_are_checked_at_the_same_time_count_before_they_have_failed() -> None:
    throttle = LoginThrottle(by_peer=3)
    under_way = [throttle.begin(HOME, "alice", 0.0) for _ in range(3)]
    assert refused(throttle, HOME, "alice", 0.0) is not None
    under_way[0].succeeded()
    assert refused(throttle, HOME, "bob", 0.0) is None


def test_an_attack_from_everywhere_does_not_keep_a_user_out_who_logged_in_there_before() -> None:
    throttle = LoginThrottle()
    throttle.begin(HOME, "alice", 0.0).succeeded()
    assert failures(throttle, anywhere(), itertools.repeat("alice")) == 20
    assert throttle.begin(HOME, "alice", 0.0).is_looked_at


def test_neighbours_who_fail_do_not_keep_a_user_out_who_logged_in_there_before() -> None:
    throttle = LoginThrottle()
    throttle.begin(HOME, "alice", 0.0).succeeded()
    failures(throttle, itertools.repeat(HOME), anybody())
    assert throttle.begin(HOME, "alice", 0.0).is_looked_at


def test_where_a_user_is_known_guesses_are_counted_as_well() -> None:
    throttle = LoginThrottle(by_peer=10)
    throttle.begin(HOME, "alice", 0.0).succeeded()
    # Ten as anybody's; and ten more, that no neighbour can take away.
    assert failures(throttle, itertools.repeat(HOME), itertools.repeat("alice")) == 20


@given(
    st.lists(
        st.tuples(st.sampled_from([HOME, ELSEWHERE]), st.sampled_from(["alice", "bob", None]), st.floats(0, 20)),
        max_size=60,
    )
)
def test_by_the_answers_nobody_can_tell_who_has_logged_in_from_there(steps: list[tuple[str, Any, float]]) -> None:
    knowing, unknowing = (LoginThrottle(by_peer=3, by_user=2) for _ in range(2))
    knowing.begin(HOME, "alice", 0.0).succeeded()
    now = 0.0
    for host, username, later in steps:
        now += later
        told, expected = (throttle.begin(host, username, now) for throttle in (knowing, unknowing))
        assert answered(told) == answered(expected)


def test_a_user_known_at_one_place_is_a_stranger_at_another() -> None:
    throttle = LoginThrottle(by_user=1)
    throttle.begin(HOME, "alice", 0.0).succeeded()
    assert refused(throttle, ELSEWHERE, "alice", 0.0) is None
    assert refused(throttle, "192.0.2.1", "alice", 0.0) is not None


def test_the_places_of_a_user_are_a_few_the_latest() -> None:
    throttle = LoginThrottle(by_user=2)
    hosts = [f"192.0.2.{number}" for number in range(9)]
    for host in hosts:
        throttle.begin(host, "alice", 0.0).succeeded()
    for host in "198.51.100.1", "198.51.100.2":
        throttle.begin(host, "alice", 0.0)
    assert [refused(throttle, host, "alice", 0.0) is None for host in hosts] == [False, *[True] * 8]


def test_credentials_without_a_name_count_for_the_peer_alone() -> None:
    throttle = LoginThrottle(by_peer=10, by_user=1)
    assert failures(throttle, itertools.repeat(HOME), itertools.repeat(None)) == 10


def test_whether_a_user_exists_makes_no_difference() -> None:
    # Nothing here knows who exists; that none who failed is known is all there is to it.
    throttle = LoginThrottle()
    assert failures(throttle, anywhere(), itertools.repeat("nobody")) == 20


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.booleans()), max_size=200))
def test_however_many_names_and_addresses_are_made_up_few_are_remembered(logins: list[tuple[int, int, bool]]) -> None:
    throttle = LoginThrottle(remembered=5)
    for number, (host, username, succeeds) in enumerate(logins):
        attempt = throttle.begin(f"10.{host // 256}.{host % 256}.1", "x" * username, number * 10.0)
        if succeeds and attempt.is_looked_at:
            attempt.succeeded()
    kept: list[Any] = [throttle._peers._full_at, throttle._users._full_at, throttle._regulars._full_at, throttle._homes]
    assert all(len(table) <= 5 for table in kept)
    assert all(len(key) <= 64 for table in kept for key in table)


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=100), st.integers(1, 5))
def test_no_more_logins_are_looked_at_than_the_rate_allows(steps: list[tuple[float, bool]], most: int) -> None:
    throttle = LoginThrottle(by_peer=most, peer_seconds=6.0, by_user=10_000)
    now, failed = 0.0, 0
    for later, succeeds in steps:
        now += later
        attempt = throttle.begin(HOME, None, now)
        if not attempt.is_looked_at:
            continue
        if succeeds:
            attempt.succeeded()
        else:
            failed += 1
        assert failed <= most + now / 6.0 + 1e-6


@pytest.mark.parametrize(
    "name", ["by_peer", "peer_seconds", "by_user", "user_seconds", "refused_seconds", "remembered"]
)
def test_a_parameter_that_is_not_positive_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        LoginThrottle(**{name: 0})
