"""The option images of k8s_node_image: what is understood, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("importable")


def finish(**params: Any) -> dict[str, Any]:
    from ansible_collections.limani.nodes.plugins.module_utils import _images

    whole = {"state": "present", "images": None, "prune": None, "registries": [], "kubeconfig": None, "auth_file": None}
    whole |= params
    _images.finish(whole)
    return whole


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("nginx", "registry"),
        ({"name": "nginx"}, "registry"),
        ({"archive": "/x.tar"}, "archive"),
        ({"name": "nginx", "archive": "/x.tar"}, "archive"),
        ({"name": "nginx", "node": "n1"}, "node"),
        ({"name": "nginx", "source": "docker", "socket": "/s"}, "docker"),
        ({"name": "nginx", "source": "containerd"}, "containerd"),
    ],
)
def test_the_source_follows_from_what_is_given(given: Any, source: str):
    """A source need only be named where nothing else says it; every key is there afterwards."""
    (image,) = finish(images=[given])["images"]
    assert image["source"] == source
    assert image.keys() == {"name", "source", "archive", "node", "socket", "containerd_namespace", "platform"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (3, "int"),
        ({"nmae": "x"}, "nmae"),
        ({"name": "x", "source": "ftp"}, "ftp"),
        ({}, "name"),
        ({"name": "x", "archive": "/x.tar", "node": "n1"}, "archive and node"),
        ({"name": "x", "archive": "/x.tar", "source": "docker"}, "archive"),
        ({"name": "x", "source": "archive"}, "archive"),
        ({"name": "x", "socket": "/s"}, "socket"),
        ({"node": "n1"}, "name"),
    ],
)
def test_nonsense_is_refused_by_place_and_option(given: Any, named: str):
    """What cannot be meant is refused with the place in the list and the option's name."""
    from ansible_collections.limani.nodes.plugins.module_utils._job import Refused

    with pytest.raises(Refused) as caught:
        finish(images=["good", given])
    assert str(caught.value).startswith("images[1]")
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"images": []}, "images is empty"),
        ({"state": "absent", "images": [{"name": "x", "archive": "/x.tar"}]}, "archive"),
        ({"state": "absent", "images": [{"platform": "linux/arm64"}]}, "platform"),
        ({"state": "pruned", "images": ["x"], "prune": {"keep": 1}}, "images"),
        ({"state": "pruned"}, "prune"),
        ({"state": "pruned", "prune": {"keep": None, "older_than": None, "patterns": []}}, "prune is empty"),
        ({"state": "pruned", "prune": {"keep": 1, "older_than": "month", "patterns": []}}, "'month'"),
        ({"state": "present", "images": ["x"], "prune": {"keep": 1}}, "prune"),
    ],
)
def test_options_that_do_not_fit_the_state_are_refused(params: dict[str, Any], named: str):
    """An option the state has no use for is refused, not ignored; prune never means everything."""
    from ansible_collections.limani.nodes.plugins.module_utils._job import Refused

    with pytest.raises(Refused) as caught:
        finish(**params)
    assert named in str(caught.value)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1w", 604800)])
def test_ages_are_understood(text: str, seconds: int):
    """An age is a number and a unit, and reaches the library in seconds."""
    prune = {"keep": None, "older_than": text, "patterns": []}
    assert finish(state="pruned", prune=prune)["prune"]["older_than"] == seconds


def test_paths_become_absolute(tmp_path, monkeypatch):
    """Relative paths are made absolute before the library sees them."""
    monkeypatch.chdir(tmp_path)
    done = finish(images=[{"archive": "x.tar"}], kubeconfig="k", registries=[{"ca_file": "ca.pem"}])
    assert done["images"][0]["archive"] == str(tmp_path / "x.tar")
    assert done["kubeconfig"] == str(tmp_path / "k")
    assert done["registries"][0]["ca_file"] == str(tmp_path / "ca.pem")
