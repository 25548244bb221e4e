"""The prune policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from limani import wire
from limani.errors import BadInput
from limani.seed.remove import Policy, parse_age

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def image(reference: str, day: int, **more: object) -> wire.StoredImage:
    digest = f"sha256:{day:064x}"
    facts = {"digest": digest, "config_digest": digest, "references": (reference,), "size": 1}
    return wire.StoredImage(**facts, stored=f"2026-01-{day:02}T00:00:00Z", **more)  # type: ignore[arg-type]


APP = [image(f"docker.io/library/app:{day}", day) for day in (1, 10, 20, 30)]


def test_keep_leaves_the_newest_of_every_repository() -> None:
    """keep=2 removes all but the two newest of each repository."""
    other = image("docker.io/library/other:1", 2)
    assert Policy(keep=2).choose([*APP, other], NOW) == ["docker.io/library/app:1", "docker.io/library/app:10"]


def test_all_conditions_must_fit() -> None:
    """keep, older_than and patterns narrow each other."""
    policy = Policy(keep=1, older_than=timedelta(days=15), patterns=("*:1",))
    assert policy.choose(APP, NOW) == ["docker.io/library/app:1"]


def test_pinned_and_used_images_stay() -> None:
    """What a container uses or a person pinned is never chosen."""
    images = [image("a.b/x:1", 1, pinned=True), image("a.b/x:2", 2, used_by=("c1",)), image("a.b/x:3", 3)]
    assert Policy(patterns=("*",)).choose(images, NOW) == ["a.b/x:3"]


@pytest.mark.parametrize("name", ["registry.k8s.io/pause:3.10", "limani.dev/agent:1", "sha256:" + "0" * 64])
def test_what_the_node_needs_stays(name: str) -> None:
    """The pause image, the agent and containerd's own records are never chosen."""
    assert Policy(patterns=("*",)).choose([image(name, 1)], NOW) == []


def test_two_names_of_one_image_count_once_for_keep() -> None:
    """An image with two tags takes one place among the newest."""
    twin = wire.StoredImage(
        APP[3].digest, APP[3].config_digest, ("docker.io/library/app:latest",), 1, stored=APP[3].stored
    )
    assert Policy(keep=2).choose([*APP, twin], NOW) == ["docker.io/library/app:1", "docker.io/library/app:10"]


@pytest.mark.parametrize(
    ("text", "want"), [("90m", timedelta(minutes=90)), ("7d", timedelta(days=7)), ("2w", timedelta(14))]
)
def test_age(text: str, want: timedelta) -> None:
    """Ages are a number and a unit."""
    assert parse_age(text) == want


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7y"])
def test_age_refuses(text: str) -> None:
    """An age that is none is refused with the value named."""
    with pytest.raises(BadInput, match="older_than"):
        parse_age(text)
