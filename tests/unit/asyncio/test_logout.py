"""When a login ends: exactly once, on every path."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from pellucid.auth.challenge import respond
from pellucid.errors import PBConnectionLost, TooManyReferences
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, RawPeer, call_message, on_each_loop, outcome, pair, turns
from tests.unit.asyncio.hall import ALICE, BOB, Hall, SharingHall, SlowPasswords, User, portal, released

pytestmark = each_dialect


@on_each_loop
async def test_releasing_the_avatar_logs_out_once() -> None:
    hall = Hall()
    async with pair(portal(hall)) as both:
        avatar = await both.client.login(ALICE)
        avatar.release()
        await released(both.served)
        assert hall.left_by == ["alice"]
    await turns()
    assert hall.left_by == ["alice"]


@on_each_loop
async def test_dropping_the_avatar_logs_out_once() -> None:
    hall = Hall()
    async with pair(portal(hall)) as both:
        await both.client.login(ALICE)
        await released(both.served)
        assert hall.left_by == ["alice"]
    await turns()
    assert hall.left_by == ["alice"]


@pytest.mark.parametrize("which", ["client", "served"])
@on_each_loop
async def test_a_disconnect_logs_everyone_out_once_in_the_order_of_notices(which: str) -> None:
    hall = Hall()
    async with pair(portal(hall)) as both:
        both.served.notify_on_disconnect(lambda: hall.left_by.append("first notice"))
        avatars = [await both.client.login(ALICE), await both.client.login(BOB)]
        both.served.notify_on_disconnect(lambda: hall.left_by.append("last notice"))
        await getattr(both, which).close()
        await both.served.wait_closed()
        await both.client.wait_closed()
        assert not any(avatar.alive for avatar in avatars)
    assert hall.left_by == ["first notice", "alice", "bob", "last notice"]


@on_each_loop
async def test_logins_that_share_an_avatar_each_log_out() -> None:
    hall = SharingHall()
    async with pair(portal(hall)) as both, pb.connect(both.server.urls[0]) as other:
        first, second = await both.client.login(ALICE), await other.login(ALICE)
        assert await first.call("name") == await second.call("name") == "alice"
        await other.close()
        while hall.left_by != ["alice"]:
            await turns(1)
        assert await first.call("name") == "alice"
    assert hall.left_by == ["alice", "alice"]


@on_each_loop
async def test_two_logins_with_one_avatar_on_one_connection_log_out_when_both_are_released() -> None:
    hall = SharingHall()
    async with pair(portal(hall)) as both:
        avatar, same = await both.client.login(ALICE), await both.client.login(ALICE)
        assert avatar is same
        avatar.release()
        assert await avatar.call("name") == "alice"
        avatar.release()
        await released(both.served)
        assert hall.left_by == ["alice", "alice"]
    assert hall.left_by == ["alice", "alice"]


@on_each_loop
async def test_logins_with_one_avatar_on_one_connection_are_no_more_than_the_references_that_a_peer_may_hold() -> None:
    hall = SharingHall()
    guarded = portal(hall, pb.AllowAnonymous())
    async with pair(guarded, limits=pb.Limits(references_exported=3)) as both:
        nobody = pb.credentials.Anonymous()
        avatar, *_ = [await both.client.login(nobody) for _ in range(3)]
        for count in 1, 2:
            with pytest.raises(TooManyReferences, match="references_exported"):
                await both.client.login(nobody)
            assert hall.left_by == [""] * count
        assert await avatar.call("name") == ""
    assert hall.left_by == [""] * len(hall.came) == [""] * 5


@on_each_loop
async def test_a_second_login_after_a_logout_is_a_login_of_its_own() -> None:
    hall = SharingHall()
    async with pair(portal(hall)) as both:
        for count in 1, 2:
            avatar = await both.client.login(ALICE)
            avatar.release()
            await released(both.served)
            assert hall.left_by == ["alice"] * count


@on_each_loop
async def test_a_client_that_is_gone_before_its_credentials_were_checked_gets_no_avatar() -> None:
    hall, passwords = Hall(), SlowPasswords({"alice": "secret"})
    async with pair(portal(hall, passwords)) as both:
        login = asyncio.ensure_future(outcome(both.client.login(ALICE)))
        await passwords.asked.wait()
        await both.client.close()
        assert isinstance(await login, PBConnectionLost)
        await both.served.wait_closed()
        passwords.opened.set()
        await turns()
    assert (hall.came, hall.left_by) == ([], [])


@on_each_loop
async def test_a_login_granted_to_a_client_that_is_gone_is_logged_out_at_once() -> None:
    hall, passwords = Hall(), SlowPasswords({"alice": "secret"})
    async with pair(portal(hall, passwords), on_disconnect="finish") as both:
        login = asyncio.ensure_future(outcome(both.client.login(ALICE)))
        await passwords.asked.wait()
        await both.client.close()
        await login
        await both.served.wait_closed()
        passwords.opened.set()
        while not hall.left_by:
            await turns(1)
    assert (hall.came, hall.left_by) == (["alice"], ["alice"])


@on_each_loop
async def test_a_login_granted_in_the_turn_in_which_its_client_goes_is_logged_out() -> None:
    class Building(Hall):
        """Has its avatars made elsewhere."""

        def request_avatar(self, avatar_id: str, mind: Any) -> Any:
            self.made = asyncio.get_running_loop().create_future()
            self.entered.put_nowait(None)
            return self.made

    hall = Building()
    async with pair(portal(hall)) as both:
        login = asyncio.ensure_future(outcome(both.client.login(ALICE)))
        await hall.entered.get()
        hall.made.set_result(Hall.request_avatar(hall, "alice", None))
        both.served.abort("it goes")
        assert isinstance(await login, PBConnectionLost)
        while not hall.left_by:
            await turns(1)
    assert (hall.came, hall.left_by) == (["alice"], ["alice"])


@on_each_loop
async def test_a_login_whose_answer_could_not_be_sent_is_logged_out() -> None:
    hall = Hall()
    # One reference is the challenger's, who is still held when the avatar is sent.
    async with pair(portal(hall), limits=pb.Limits(references_exported=1)) as both:
        assert isinstance(await outcome(both.client.login(ALICE)), pb.TooManyReferences)
        await turns()
        assert hall.left_by == ["alice"]
    assert hall.left_by == ["alice"]


@on_each_loop
async def test_a_login_that_nobody_waits_for_is_logged_out_at_once() -> None:
    hall = Hall()
    async with pair(portal(hall, pb.AllowAnonymous())) as both:
        await both.client.root.call_with(one_way=True).call("loginAnonymous", None)
        await outcome(both.client.root.call("mechanisms"))
        assert (hall.came, hall.left_by) == ([""], [""])
    assert hall.left_by == [""]


@over("pellucid")
@on_each_loop
async def test_a_login_that_is_granted_too_late_is_logged_out_at_once() -> None:
    hall = Hall()

    class Stubborn:
        """Grants a login even when it is told to stop."""

        async def request_avatar(self, avatar_id: str, mind: Any) -> Any:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return hall.request_avatar(avatar_id, mind)

    async with pair(portal(Stubborn(), pb.AllowAnonymous())) as both:
        call = both.client.root.call_with(timeout=0.01).call("loginAnonymous", None)
        assert isinstance(await outcome(call), pb.DeadlineExceeded)
        while not hall.left_by:
            await turns(1)
        assert (hall.came, hall.left_by) == ([""], [""])
    assert hall.left_by == [""]


@over("pellucid")
@on_each_loop
async def test_of_the_logins_of_a_batch_those_are_logged_out_at_once_that_could_not_be_sent() -> None:
    hall = Hall()
    limits = pb.Limits(references_exported=2)
    guarded = portal(hall, pb.AllowAnonymous())
    async with pair(guarded, limits=limits, limits_before_login=limits) as both:
        logins = [both.client.root.prepare("loginAnonymous", None) for _ in range(3)]
        results = await pb.gather(*logins, return_exceptions=True)
        assert [type(result) for result in results] == [pb.RemoteReference, pb.RemoteReference, pb.TooManyReferences]
        assert (hall.came, hall.left_by) == ([""] * 3, [""])
    assert hall.left_by == [""] * 3


@on_each_loop
async def test_cancelling_a_login_that_is_granted_after_all_logs_out(dialect: str) -> None:
    hall, passwords = Hall(), SlowPasswords({"alice": "secret"})
    async with pair(portal(hall, passwords)) as both:
        login = asyncio.ensure_future(both.client.login(ALICE))
        await passwords.asked.wait()
        login.cancel()
        await asyncio.wait([login])
        await outcome(both.client.root.call("anything"))
        passwords.opened.set()
        while dialect == "pb" and not hall.left_by:
            await turns(1)
    logged_in = ["alice"] if dialect == "pb" else []  # the checker was cancelled
    assert (hall.came, hall.left_by) == (logged_in, logged_in)


@on_each_loop
async def test_a_logout_may_be_async_and_one_that_raises_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Untidy(Hall):
        def request_avatar(self, avatar_id: str, mind: Any) -> Any:
            async def leave_slowly() -> None:
                await turns(3)
                self.left_by.append("slowly")

            def fall() -> None:
                self.left_by.append("falling")
                raise ZeroDivisionError

            return User(avatar_id, mind), {"alice": fall, "bob": leave_slowly}[avatar_id]

    hall = Untidy()
    async with pair(portal(hall)) as both:
        await both.client.login(ALICE)
        avatar = await both.client.login(BOB)
        assert await avatar.call("name") == "bob"
        await both.client.close()
        await both.served.wait_closed()
    assert hall.left_by == ["falling", "slowly"]
    assert "ZeroDivisionError" in caplog.text


@on_each_loop
async def test_calls_wait_while_as_many_logouts_run_as_methods_may() -> None:
    opened = asyncio.Event()

    class Lingering(Hall):
        def request_avatar(self, avatar_id: str, mind: Any) -> Any:
            async def leave_when_opened() -> None:
                await opened.wait()
                self.left_by.append(avatar_id)

            self.came.append(avatar_id)
            return User(avatar_id, mind), leave_when_opened

    hall = Lingering()
    async with pair(portal(hall, pb.AllowAnonymous()), limits=pb.Limits(running_calls=3)) as both:
        nobody = pb.credentials.Anonymous()
        for _ in range(3):
            (await both.client.login(nobody)).release()
        one_too_many = asyncio.ensure_future(both.client.login(nobody))
        while not (one_too_many.done() or both.served.usage["waiting_calls"].used):
            await turns(1)
        assert (len(hall.came), hall.left_by) == (3, [])
        opened.set()
        await one_too_many
        assert (len(hall.came), hall.left_by) == (4, [""] * 3)
    assert hall.left_by == [""] * 4


@over("none")
@on_each_loop
async def test_an_impatient_peer_that_answers_a_challenge_twice_logs_in_once() -> None:
    hall = Hall()
    async with pb.serve(portal(hall), HERE) as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send(*call_message(1, b"login", b"alice"))
        challenge, (_, challenger) = (await peer.receive())[2][1:]
        response = respond(challenge, "secret")
        for call_id in 2, 3:
            peer.send(*call_message(call_id, b"respond", response, [b"None"], target=challenger))
        answers = [(await peer.receive())[0] for _ in range(2)]
        assert sorted(answers) == [b"answer", b"error"]
        await peer.close()
    assert hall.came == hall.left_by == ["alice"]
