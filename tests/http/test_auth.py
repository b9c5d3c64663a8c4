import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.http.auth import AccessOptions, Denied, Doorkeeper

OPEN = Doorkeeper(AccessOptions(is_remote_access_allowed=True))
LOCAL = Doorkeeper(AccessOptions())
USERS = Doorkeeper(AccessOptions(True, True, {"alice": "secret", "bob": "a:b", "é": "ü"}))


def basic(credentials: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(credentials.encode(encoding)).decode()


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_always_come(ip: str) -> None:
    assert LOCAL.admit(ip, None) == ""


@pytest.mark.parametrize("ip", ["10.0.0.1", "::2", "128.0.0.1", "::ffff:10.0.0.1", ""])
def test_others_may_come_only_if_remote_access_is_allowed(ip: str) -> None:
    assert LOCAL.admit(ip, basic("alice:secret")) == Denied()
    assert OPEN.admit(ip, None) == ""


def test_the_right_credentials_name_the_user() -> None:
    for _ in range(2):
        assert USERS.admit("10.0.0.1", basic("alice:secret")) == "alice"
    assert USERS.admit("10.0.0.1", basic("bob:a:b")) == "bob"
    assert USERS.admit("10.0.0.1", basic("é:ü")) == "é"
    assert USERS.admit("10.0.0.1", "bAsIc" + basic("alice:secret")[5:]) == "alice"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        basic("alice"),
        basic("alice:"),
        basic("alice:Secret"),
        basic("Alice:secret"),
        basic("mallory:secret"),
        basic(":"),
        "Bearer " + basic("alice:secret")[6:],
    ],
)
def test_anything_else_is_asked_for_credentials(authorization: str | None) -> None:
    expected = Denied(((b"www-authenticate", b'Basic realm="Orthanc Secure Area"'),))
    assert USERS.admit("127.0.0.1", authorization) == expected


def test_without_users_nobody_comes_in() -> None:
    assert isinstance(Doorkeeper(AccessOptions(True, True, {})).admit("::1", basic(":")), Denied)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(AccessOptions(True, True, {"alice": "secret"}))


@given(st.text())
def test_no_made_up_header_opens_the_door(authorization: str) -> None:
    assert isinstance(USERS.admit("10.0.0.1", authorization), Denied)
