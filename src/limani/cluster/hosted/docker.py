"""The Docker that holds the nodes: whether it can be used, its containers, what happens in them.

Everything is read as JSON (``docker inspect``, ``docker info``); texts of errors decide nothing.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limani.cluster.hosted.tool import Ran, Tool
from limani.errors import HostUnsuitable

Container = dict[str, Any]

DOCKER = Tool(
    "docker",
    (20, 10, 0),
    ("version", "--format", "{{.Client.Version}}"),
    "Install Docker (https://docs.docker.com/engine/install, or package docker.io on Debian and Ubuntu); or use the "
    "native backend, which needs none.",
)


def check() -> dict[str, Any]:
    """What Docker says of itself (``docker info``). Raises :class:`HostUnsuitable` saying why it cannot be used."""
    done = DOCKER.run("info", "--format", "{{json .}}", timeout_s=30)
    info: dict[str, Any] = json.loads(done.output) if done.output.startswith("{") else {}
    if done.code == 0 and info.get("ServerVersion"):
        return info
    raise _why(address())


def address() -> str:
    """Where the docker command finds its daemon: DOCKER_HOST, else the current context's address."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    done = DOCKER.run("context", "inspect", "--format", "{{.Endpoints.docker.Host}}", timeout_s=30)
    return done.output.strip() if done.code == 0 and done.output.strip() else "unix:///var/run/docker.sock"


def _why(where: str) -> HostUnsuitable:
    """Why nobody answers there: on a Unix socket that is found out by knocking."""
    problem = knock(Path(where.removeprefix("unix://"))) if where.startswith("unix://") else None
    return problem or HostUnsuitable(
        f"Docker at {where} does not answer.",
        hint="Look whether it runs (its log: journalctl -u docker), or set DOCKER_HOST to one that does.",
        address=where,
    )


def knock(path: Path) -> HostUnsuitable | None:
    """Why nobody answers behind a Unix socket; None if somebody does."""
    start = "Start it (sudo systemctl start docker), or set DOCKER_HOST to one that runs."
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return HostUnsuitable(f"{path} is not a socket, so no Docker is behind it.", hint=start, path=str(path))
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(str(path))
    except FileNotFoundError:
        return HostUnsuitable(f"Docker does not run: there is no socket {path}.", hint=start, path=str(path))
    except PermissionError:
        return HostUnsuitable(
            f"You may not use Docker: the socket {path} is closed to you.",
            hint="Join its group (sudo usermod -aG docker $USER, then log in again), or run as root.",
            path=str(path),
        )
    except OSError as error:
        return HostUnsuitable(f"Docker does not run: {path}: {error.strerror or error}.", hint=start, path=str(path))
    return None


def containers(label: str) -> list[Container]:
    """All containers with a label (``KEY`` or ``KEY=VALUE``), as ``docker inspect`` shows them."""
    listed = DOCKER.run("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={label}")
    if listed.code:
        raise listed.failed("Docker does not list its containers")
    if not listed.output.split():
        return []
    done = DOCKER.run("inspect", *listed.output.split())
    found: list[Container] = json.loads(done.output or "[]")
    return found


def published() -> set[int]:
    """Ports of this machine that running containers have."""
    listed = DOCKER.run("ps", "--quiet", "--no-trunc").output.split()
    if not listed:
        return set()
    found = json.loads(DOCKER.run("inspect", *listed).output or "[]")
    bound = (
        binding
        for item in found
        for ports in (item["NetworkSettings"]["Ports"] or {}).values()
        for binding in ports or ()
    )
    return {int(binding["HostPort"]) for binding in bound if binding.get("HostPort")}


def execute(container: str, arguments: Sequence[str], timeout_s: float = 60) -> Ran:
    """Run a command in a container."""
    return DOCKER.run("exec", container, *arguments, timeout_s=timeout_s)
