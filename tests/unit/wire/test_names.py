from __future__ import annotations

import builtins

import pytest
import twisted.cred.error
from twisted.spread import flavors, jelly, pb  # noqa: TID251 - whose names they are

from pellucid import errors
from pellucid.flavors.serializable import qualified_name
from pellucid.wire.names import FAILURE, names_of, own_error

TWISTEDS: dict[type[Exception], type[Exception]] = {
    errors.Error: pb.Error,
    errors.RemoteError: pb.RemoteError,
    errors.InsecureJelly: jelly.InsecureJelly,
    errors.NoSuchMethod: flavors.NoSuchMethod,
    errors.PBConnectionLost: pb.PBConnectionLost,
    errors.ProtocolError: pb.ProtocolError,
    errors.DeadReferenceError: pb.DeadReferenceError,
    errors.LoginFailed: twisted.cred.error.LoginFailed,
    errors.UnauthorizedLogin: twisted.cred.error.UnauthorizedLogin,
    errors.UnhandledCredentials: twisted.cred.error.UnhandledCredentials,
}


def test_the_tag_of_an_exception_is_twisteds() -> None:
    assert qualified_name(pb.CopyableFailure).encode() == FAILURE


@pytest.mark.parametrize("cls", TWISTEDS)
def test_an_error_that_twisted_has_goes_by_its_name_there(cls: type[Exception]) -> None:
    assert names_of(cls)[0] == qualified_name(TWISTEDS[cls])


def test_every_error_of_ours_that_twisted_has_by_that_name_goes_by_it() -> None:
    homes = (pb, jelly, flavors, twisted.cred.error)
    shared = {name for name in errors.__all__ if any(hasattr(home, name) for home in homes)}
    assert shared == {cls.__name__ for cls in TWISTEDS}


def test_the_bases_of_an_error_are_told_nearest_first() -> None:
    class Deep(errors.TooManyCalls):
        pass

    assert names_of(Deep) == (
        f"{__name__}.Deep",
        "pellucid.errors.TooManyCalls",
        "pellucid.errors.LimitExceeded",
        "twisted.spread.pb.Error",
        "builtins.Exception",
        "builtins.BaseException",
        "builtins.object",
    )


def test_a_refused_login_has_all_the_bases_that_twisteds_has() -> None:
    theirs = [qualified_name(base) for base in twisted.cred.error.UnauthorizedLogin.__mro__]
    assert list(names_of(errors.UnauthorizedLogin)) == theirs


@pytest.mark.parametrize(
    "cls", [pb.Error, jelly.InsecureJelly, flavors.NoSuchMethod, twisted.cred.error.UnauthorizedLogin]
)
def test_what_a_stock_broker_says_is_known(cls: type[Exception]) -> None:
    assert own_error(qualified_name(cls)) is next(ours for ours, theirs in TWISTEDS.items() if theirs is cls)


@pytest.mark.parametrize("cls", [pb.PBConnectionLost, pb.DeadReferenceError, pb.RemoteError, pb.ProtocolError])
def test_what_can_only_have_been_raised_in_a_method_is_not(cls: type[Exception]) -> None:
    assert own_error(qualified_name(cls)) is None


@pytest.mark.parametrize("name", ["KeyError", "SystemExit"])
def test_nobody_can_make_us_raise_just_anything(name: str) -> None:
    assert own_error(qualified_name(getattr(builtins, name))) is None
