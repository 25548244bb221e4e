"""limani.image.reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani.errors import ReferenceInvalid
from limani.image.reference import MAX_NAME, Reference

D = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"),
        ("library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("index.docker.io/nginx:1", "docker.io/library/nginx:1", "nginx:1"),
        ("docker.io/library/a/b:1", "docker.io/library/a/b:1", "library/a/b:1"),
        ("team/app", "docker.io/team/app:latest", "team/app:latest"),
        (f"nginx@{D}", f"docker.io/library/nginx@{D}", f"nginx@{D}"),
        (f"nginx:1@{D}", f"docker.io/library/nginx:1@{D}", f"nginx:1@{D}"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("r.example/app", "r.example/app:latest", "r.example/app:latest"),
        ("r.example:443/a/b/c:T_1.x-y", "r.example:443/a/b/c:T_1.x-y", "r.example:443/a/b/c:T_1.x-y"),
        ("Registry/app", "Registry/app:latest", "Registry/app:latest"),
        ("10.1.2.3:5000/app:1", "10.1.2.3:5000/app:1", "10.1.2.3:5000/app:1"),
        ("[fd00::1]/app", "[fd00::1]/app:latest", "[fd00::1]/app:latest"),
        ("[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000/app:1"),
        ("a.b", "docker.io/library/a.b:latest", "a.b:latest"),
        ("docker.io/localhost/x", "docker.io/localhost/x:latest", "docker.io/localhost/x:latest"),
        ("x/a__b.c-d---e_f", "docker.io/x/a__b.c-d---e_f:latest", "x/a__b.c-d---e_f:latest"),
        ("app:" + "t" * 128, "docker.io/library/app:" + "t" * 128, "app:" + "t" * 128),
    ],
)
def test_normalisation(text: str, canonical: str, familiar: str) -> None:
    """References are completed and shortened as Docker does it."""
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert reference.familiar() == familiar
    assert Reference.parse(canonical) == reference
    assert Reference.parse(familiar) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        "a/",
        "/a",
        "a//b",
        "nginx:",
        ":1",
        "@",
        "nginx@",
        "nginx@sha256:abc",
        "nginx@sha512:" + "a" * 128,
        f"nginx@{D}@{D}",
        "nginx:1:2",
        "Nginx",
        "lib/Nginx",
        "nginx latest",
        "nginx\n",
        "nginx:1\n",
        "nginx;rm -rf x",
        "$(id)",
        "`id`",
        "../../etc/passwd",
        "a/../b",
        "./x",
        "-a",
        "a-",
        "_a",
        "a_",
        "a___b",
        "a..b",
        "a._b",
        ".a",
        "a.",
        "http://r.example/a",
        "https://r.example/a:1",
        "r.example:port/a",
        "r.example:/a",
        "-r.example/a",
        "r_x.example/a",
        "[fd00::1/a",
        "fd00::1]/a",
        "[fd00::zz]/a",
        "a:" + "t" * 129,
        "a:-t",
        "a:.t",
        "a" * 64,
        "a" * (MAX_NAME - len("docker.io/library/") + 1),
        "r.example/" + "a" * (MAX_NAME - len("r.example/") + 1),
        "\x00",
        "nginx:\u00e9",
        "εικόνα",
    ],
)
def test_wrong_references_are_refused(text: str) -> None:
    """What the grammar does not allow is refused, with the reason and the text in the message."""
    with pytest.raises(ReferenceInvalid) as caught:
        Reference.parse(text)
    assert caught.value.message.endswith(".")
    assert caught.value.hint


def test_longest_name() -> None:
    """A name of exactly 255 characters passes."""
    text = "r.example/" + "a" * (MAX_NAME - len("r.example/"))
    assert Reference.parse(text).name == text


def test_changed_tag_and_digest() -> None:
    """Tag and digest can be exchanged; wrong tags are refused."""
    reference = Reference.parse("nginx:1")
    assert str(reference.with_tag("2")) == "docker.io/library/nginx:2"
    assert str(reference.with_digest(D)) == f"docker.io/library/nginx@{D}"
    with pytest.raises(ReferenceInvalid):
        reference.with_tag("no spaces")


def test_order() -> None:
    """References of all kinds can be sorted together."""
    texts = [f"a@{D}", "b:2", "a:1", f"a:1@{D}", "r.example/x"]
    found = sorted(Reference.parse(text) for text in texts)
    assert [str(reference) for reference in found] == sorted(str(Reference.parse(text)) for text in texts)
    assert Reference.parse("a") <= Reference.parse("a")


_component = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
_registry = st.from_regex(r"[a-z0-9]{1,8}\.[A-Za-z]{1,5}(:[0-9]{1,5})?", fullmatch=True)
_tag = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}", fullmatch=True)


@given(_registry, st.lists(_component, min_size=1, max_size=4), st.none() | _tag, st.booleans())
def test_round_trip(registry: str, path: list[str], tag: str | None, by_digest: bool) -> None:
    """Every well-formed reference parses to its parts and back to its text."""
    digest = D if by_digest else None
    if not tag and not digest:
        tag = "latest"
    reference = Reference(registry, "/".join(path), tag, digest)
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference


@given(st.text() | st.text(alphabet="ab.:/@-_[]A0\n sha256"))
def test_parse_raises_nothing_else(text: str) -> None:
    """Arbitrary text gives ReferenceInvalid or a reference whose canonical and short forms mean the same."""
    try:
        reference = Reference.parse(text)
    except ReferenceInvalid:
        return
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference
