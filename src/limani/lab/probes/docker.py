"""What the Docker daemon says of containers and images."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import TYPE_CHECKING, Any

from limani.lab.probes import probe
from limani.lab.probes._docker import age, find, none, runs, state, trouble, until
from limani.lab.record import Finding, Text, failed, passed
from limani.lab.world import World

if TYPE_CHECKING:
    from docker.models.containers import Container
    from docker.models.images import Image

STAYS_UP_S = 0.5
"""A container must stay up this long before it counts as running: a wrong command ends sooner."""


@probe
async def running(world: World, *, container: str, image: str | None = None) -> Finding:
    """The container runs; with ``image``, from what that name stands for now."""
    wanted = Text("docker.running_wanted", {"name": container})
    if image:
        wanted = Text("docker.running_image_wanted", {"name": container, "image": image})
    found = await find(world, container)
    if found is None:
        return failed(none(container), wanted, "missing")
    if not await _stays_up(found):
        text, cause = await trouble(world, found)
        return failed(text, wanted, cause, status=state(found)["Status"])
    if image:
        now = await _image(world, image)
        if now is None or now.id != found.attrs["Image"]:
            older = _with_tag(found.attrs["Config"]["Image"]) == _with_tag(image)
            text = Text(
                "docker.older_build" if older else "docker.other_image",
                {"name": container, "image": found.attrs["Config"]["Image"]},
            )
            return failed(text, wanted, "older-build" if older else "other-image")
    return passed(Text("docker.runs", {"name": container}), wanted, pid=state(found)["Pid"])


@probe
async def ran(world: World, *, image: str, exit_code: int = 0) -> Finding:
    """Some container of the image has run and ended with this code, even if it was removed since."""
    wanted = Text("docker.ran_wanted", {"image": image, "code": exit_code})
    client = await world.docker()
    kept = await asyncio.to_thread(client.containers.list, all=True, filters={"ancestor": image, "status": "exited"})
    codes = [int(container.attrs["State"]["ExitCode"]) for container in kept]
    if exit_code not in codes:
        codes += await asyncio.to_thread(_ended, client, image, world.started)
    if exit_code in codes:
        return passed(Text("docker.ran", {"image": image, "code": exit_code}), wanted)
    if codes:
        return failed(Text("docker.ran_otherwise", {"image": image, "code": codes[-1]}), wanted, "exit-code")
    return failed(Text("docker.never_ran", {"image": image}), wanted, "never-ran")


@probe
async def published(
    world: World, *, container: str, port: int = 8080, host_port: int | None = None, loopback: bool = True
) -> Finding:
    """``port`` of the container is published, as ``host_port`` of the machine and (``loopback``) nowhere else."""
    values: dict[str, str | int] = {"name": container, "port": port, "host_port": host_port or port}
    wanted = Text("docker.loopback_wanted" if loopback else "docker.published_wanted", values)
    found = await find(world, container)
    if found is None:
        return failed(none(container), wanted, "missing")
    await until(found, lambda: runs(found))  # a restart may be under way
    places = found.ports.get(f"{port}/tcp") or []
    told = ", ".join(_told(place["HostIp"], place["HostPort"]) for place in places)
    values["places"] = told
    if not places:
        return failed(Text("docker.not_published", values), wanted, "not-published")
    if host_port and str(host_port) not in [place["HostPort"] for place in places]:
        return failed(Text("docker.published_at", values), wanted, "other-host-port")
    if loopback and not all(_is_loopback(place["HostIp"]) for place in places):
        return failed(Text("docker.published_at", values), wanted, "all-interfaces")
    return passed(Text("docker.published_at", values), wanted)


@probe
async def logs_hold(world: World, *, container: str, text: str) -> Finding:
    """The container's program wrote ``text`` to its standard output or error."""
    wanted = Text("docker.logs_wanted", {"name": container, "text": text})
    found = await find(world, container)
    if found is None:
        return failed(none(container), wanted, "missing")
    log = (await asyncio.to_thread(found.logs, tail=10_000)).decode(errors="replace")
    values: dict[str, str | int] = {"name": container, "lines": len(log.splitlines()), "text": text}
    if text in log:
        return passed(Text("docker.logs_hold", values), wanted)
    return failed(Text("docker.logs_without", values), wanted, "not-logged")


@probe
async def restarted(world: World, *, container: str, times: int = 1) -> Finding:
    """Docker itself has started the container again at least so often, by its restart policy."""
    wanted = Text("docker.restarted_wanted", {"name": container, "times": times})
    found = await find(world, container)
    if found is None:
        return failed(none(container), wanted, "missing")
    policy = found.attrs["HostConfig"]["RestartPolicy"].get("Name") or "no"
    if policy == "no":
        return failed(Text("docker.no_policy", {"name": container}), wanted, "no-policy")
    await until(found, lambda: found.attrs["RestartCount"] >= times)  # its process may have ended this very moment
    count = int(found.attrs["RestartCount"])
    values: dict[str, str | int] = {"name": container, "policy": policy, "count": count}
    if count < times:
        return failed(Text("docker.restarts", values), wanted, "not-restarted", count=count)
    return passed(Text("docker.restarts", values), wanted, count=count)


@probe
async def built_on(world: World, *, image: str, base: str) -> Finding:
    """The image exists and has the layers of ``base`` and at least one of its own."""
    wanted = Text("docker.built_wanted", {"image": image, "base": base})
    mine, below = await asyncio.gather(_image(world, image), _image(world, base))
    if mine is None:
        return failed(Text("docker.no_image", {"image": image}), wanted, "no-image")
    layers, base_layers = _layers(mine), _layers(below) if below else []
    if not base_layers or layers[: len(base_layers)] != base_layers:
        return failed(Text("docker.other_base", {"image": image, "base": base}), wanted, "other-base")
    own = len(layers) - len(base_layers)
    if not own:
        return failed(Text("docker.nothing_added", {"image": image, "base": base}), wanted, "nothing-added")
    return passed(Text("docker.built", {"image": image, "own": own}), wanted, layers=own)


async def _stays_up(container: Container) -> bool:
    """It runs, and does not end again at once; looks on for a moment where it was started just now."""
    await until(container, lambda: state(container)["Status"] != "restarting")
    before = container.attrs["RestartCount"]
    await until(container, lambda: not runs(container), STAYS_UP_S - age(container))
    if container.attrs["RestartCount"] > before:  # it ended while nobody looked; wait for the next time, to see how
        await until(container, lambda: not runs(container))
    return runs(container)


async def _image(world: World, name: str) -> Image | None:
    from docker.errors import ImageNotFound

    client = await world.docker()
    try:
        return await asyncio.to_thread(client.images.get, name)
    except ImageNotFound:
        return None


def _with_tag(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _layers(image: Image) -> list[str]:
    return list(image.attrs["RootFS"].get("Layers") or [])


def _ended(client: Any, image: str, since: float) -> list[int]:
    """Exit codes of the image's containers that ended since then, as far as the daemon remembers."""
    filters = {"type": "container", "event": "die", "image": image}
    events = client.events(since=int(since), until=int(time.time()) + 1, filters=filters, decode=True)
    return [int(event["Actor"]["Attributes"].get("exitCode", -1)) for event in events]


def _told(address: str, port: str) -> str:
    """As in a URL; Docker leaves the address empty where it means all of them."""
    return f"[{address}]:{port}" if ":" in address else f"{address or '0.0.0.0'}:{port}"  # noqa: S104


def _is_loopback(address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address).is_loopback
