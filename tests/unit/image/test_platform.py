"""limani.image.platform."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani.errors import BadInput
from limani.image.platform import Platform


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm/v7", "linux/arm"),
        ("linux/armhf", "linux/arm"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/ppc64el", "linux/ppc64le"),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    """Other spellings of a platform become Go's."""
    assert str(Platform.parse(text)) == normal


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "a b/c", "linux/amd64\n"])
def test_wrong_platforms_are_refused(text: str) -> None:
    """What is not os/architecture[/variant] is refused."""
    with pytest.raises(BadInput):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("node", "image", "rank"),
    [
        ("linux/amd64", "linux/amd64", 0),
        ("linux/arm/v7", "linux/arm/v6", 1),
        ("linux/arm/v6", "linux/arm/v7", None),
        ("linux/amd64/v3", "linux/amd64", 2),
        ("linux/amd64", "linux/amd64/v2", None),
        ("linux/arm64", "linux/arm/v7", None),
        ("linux/amd64", "windows/amd64", None),
    ],
)
def test_what_runs_where(node: str, image: str, rank: int | None) -> None:
    """A node runs images of its own and of older variants."""
    assert Platform.parse(node).runs(Platform.parse(image)) == rank


def test_host_is_a_linux_platform() -> None:
    """The platform of this machine is written in Go's words."""
    assert Platform.host().os == "linux"
    assert Platform.host().architecture not in {"x86_64", "aarch64"}


@given(st.text())
def test_parse_raises_nothing_else(text: str) -> None:
    """Arbitrary text gives BadInput or a platform that parses back to itself."""
    try:
        platform = Platform.parse(text)
    except BadInput:
        return
    assert Platform.parse(str(platform)) == platform
