"""limani.distribution.auth."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani.distribution.auth import Challenge, Credentials, find_credentials, parse_challenges
from limani.errors import BadInput

SECRET = "s3cr3t:with:colons"


def entry(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_secrets_are_not_shown() -> None:
    """No representation of credentials has the secret in it."""
    credentials = Credentials("user", SECRET, SECRET, SECRET)
    assert SECRET not in repr(credentials)
    assert SECRET not in f"{credentials}"
    assert credentials.basic() == "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    ("registry", "repository", "user"),
    [
        ("r.example", "any", "host"),
        ("r.example", "team/app", "team"),
        ("r.example", "team/app/deep", "app"),
        ("r.example", "teams/app", "host"),
        ("r.example:5000", "any", "port"),
        ("docker.io", "library/nginx", "hub"),
        ("a.wild.example", "x", "pattern"),
        ("a.b.wild.example", "x", None),
        ("other.example", "x", None),
    ],
)
def test_lookup(registry: str, repository: str, user: str | None) -> None:
    """The most specific entry wins; docker.io is known by its old names; a star is one label."""
    document = {
        "auths": {
            "r.example": entry("host"),
            "https://r.example/team": entry("team"),
            "r.example/team/app/deep": entry("app"),
            "r.example:5000": entry("port"),
            "https://index.docker.io/v1/": entry("hub"),
            "*.wild.example": entry("pattern"),
        },
        "credsStore": "desktop",
    }
    found = find_credentials([document], registry, repository)
    assert (found.username if found else None) == user
    assert found is None or found.password == SECRET


def test_forms_of_entries() -> None:
    """Name and password, auth, identity tokens; empty entries (as credential stores leave them) count for nothing."""
    for value, expected in [
        ({"username": "u", "password": "p"}, Credentials("u", "p")),
        ({"identitytoken": "t"}, Credentials(identity_token="t")),
        ({"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": "t"}, Credentials("<token>", "", "t")),
        ({"registrytoken": "t"}, Credentials(registry_token="t")),
        ({}, None),
        ({"username": "", "password": ""}, None),
    ]:
        assert find_credentials([{"auths": {"r.example": value}}], "r.example", "x") == expected


def test_first_document_with_credentials_wins() -> None:
    """Documents are asked in order; those without an entry are passed over."""
    documents: list[dict[str, Any]] = [
        {},
        {"auths": {}},
        {"auths": {"r.example": {}}},
        {"auths": {"r.example": entry("a")}},
        {"auths": {"r.example": entry("b")}},
    ]
    found = find_credentials(documents, "r.example", "x")
    assert found is not None
    assert found.username == "a"


@pytest.mark.parametrize(
    "document",
    [
        {"auths": ["r.example"]},
        {"auths": {"r.example": SECRET}},
        {"auths": {"r.example": {"auth": SECRET}}},
        {"auths": {"r.example": {"auth": base64.b64encode(b"nocolon").decode()}}},
        {"auths": {"r.example": {"password": 1}}},
    ],
)
def test_broken_documents_are_refused_without_quoting_them(document: dict[str, Any]) -> None:
    """What cannot be read is refused, and the error does not quote it."""
    with pytest.raises(BadInput) as caught:
        find_credentials([document], "r.example", "x")
    assert SECRET not in f"{caught.value.message}{caught.value.fields}"
    assert caught.value.__cause__ is None
    assert "nocolon" not in caught.value.message


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "r.example",
                        "scope": "repository:a/b:pull",
                    },
                )
            ],
        ),
        (
            'Basic realm="a, b=c", Bearer realm=plain , service="q\\"uoted"',
            [Challenge("basic", {"realm": "a, b=c"}), Challenge("bearer", {"realm": "plain", "service": 'q"uoted'})],
        ),
        ("Negotiate", [Challenge("negotiate", {})]),
        ("", []),
        ('="x"', []),
    ],
)
def test_challenges(header: str, challenges: list[Challenge]) -> None:
    """Challenges as registries write them."""
    assert parse_challenges([header]) == challenges


@given(st.lists(st.text() | st.text(alphabet='Basic =",\\ r')))
def test_challenges_raise_nothing(headers: list[str]) -> None:
    """Arbitrary headers give a list."""
    assert isinstance(parse_challenges(headers), list)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["auth", "username", "r.example", "*.e"]), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["auths", "x"]), _json))
def test_lookup_raises_nothing_else(document: dict[str, Any]) -> None:
    """Arbitrary documents give credentials, none, or BadInput."""
    try:
        found = find_credentials([document], "r.example", "x")
    except BadInput:
        return
    assert found is None or isinstance(found, Credentials)
