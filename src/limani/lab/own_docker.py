"""What a lesson owns in a Docker daemon. Synchronous: the Docker client is; call through asyncio.to_thread.

A lesson's own are the names it declares (``owns``) and everything made from the lab's images: those carry a label,
and containers and images made from them inherit it. What was there before the lesson started is never touched.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from limani.errors import ForeignObjects
from limani.lab.lesson import Owns
from limani.lab.state import Before

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "limani.dev/bundle"
"""Every image of the bundle has it."""
PREFIX = "limani.dev/lab/"
"""So begin the names of all images of the bundle, and of some that learners build."""


def refuse_foreign(client: DockerClient, owns: Owns, host: str) -> None:
    """Raise ForeignObjects naming whatever has a name the lesson uses and is not the lab's."""
    found = []
    for item in client.api.containers(all=True):
        names = [name.lstrip("/") for name in item.get("Names") or ()]
        if not _labs(item):
            found += [f"container {name}" for name in names if name in owns.containers]
    for item in client.api.images():
        if not _labs(item):
            found += [f"image {name}" for name in item.get("RepoTags") or () if name in _tagged(owns.images)]
    found += [f"volume {item['Name']}" for item in _volumes(client) if item["Name"] in owns.volumes]
    found += [f"network {item['Name']}" for item in client.api.networks() if item["Name"] in owns.networks]
    if found:
        text = f"The Docker daemon {host} has objects of names this lesson uses: {', '.join(found)}."
        raise ForeignObjects(text, objects=found)


def snapshot(client: DockerClient) -> Before:
    """What is there now."""
    return Before(
        containers=[item["Id"] for item in client.api.containers(all=True)],
        images={item["Id"]: list(item.get("RepoTags") or ()) for item in client.api.images(all=True)},
        networks=[item["Id"] for item in client.api.networks()],
        volumes=[item["Name"] for item in _volumes(client)],
    )


def remove(client: DockerClient, owns: Owns, before: Before, *, everything: bool) -> None:
    """Remove what is the lesson's. ``everything``: the daemon is the lab's alone, so all that is new is."""
    for item in client.api.containers(all=True):
        names = [name.lstrip("/") for name in item.get("Names") or ()]
        own = everything or _labs(item) or any(name in owns.containers for name in names)
        if own and item["Id"] not in before.containers:
            _gone(client.api.remove_container, item["Id"], v=True, force=True)
    for item in client.api.networks():
        if item["Id"] not in before.networks and (everything or item["Name"] in owns.networks):
            _gone(client.api.remove_network, item["Id"])
    for item in _volumes(client):
        if item["Name"] not in before.volumes and (everything or item["Name"] in owns.volumes):
            _gone(client.api.remove_volume, item["Name"], force=True)
    _remove_images(client, owns, before, everything)


def _remove_images(client: DockerClient, owns: Owns, before: Before, everything: bool) -> None:
    named = _tagged(owns.images)
    images = client.api.images(all=True)
    for item in images:
        own = everything or _labs(item)
        for name in item.get("RepoTags") or ():
            if name != "<none>:<none>" and (own or name in named) and name not in before.images.get(item["Id"], ()):
                _gone(client.api.remove_image, name, noprune=False)
    # What has lost its last name, and what never had one (a failed or repeated build).
    for item in client.api.images(filters={"dangling": True}):
        if item["Id"] not in before.images and (everything or _labs(item)):
            _gone(client.api.remove_image, item["Id"])


def _labs(item: dict[str, Any]) -> bool:
    """Whether a container or an image (as listed) is made from the lab's images."""
    names = [str(item.get("Image") or ""), *(item.get("RepoTags") or ())]
    return LABEL in (item.get("Labels") or {}) or any(name.startswith(PREFIX) for name in names)


def _gone(delete: Any, *arguments: Any, **options: Any) -> None:
    """Delete; what is gone already is fine."""
    from docker.errors import NotFound

    with contextlib.suppress(NotFound):
        delete(*arguments, **options)


def _volumes(client: DockerClient) -> list[dict[str, Any]]:
    return list(client.api.volumes().get("Volumes") or ())


def _tagged(names: tuple[str, ...]) -> set[str]:
    """Names as the daemon lists them."""
    return {name if ":" in name.rpartition("/")[2] else f"{name}:latest" for name in names}
