"""A daemon that is not there: what probes ask of Docker's client, answered from plain data."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from limani.lab.world import World


def started(seconds_ago: float) -> str:
    """As the daemon writes times, nanoseconds and all."""
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%f123Z")


@dataclass
class Container:
    """A container as the client shows it. ``later``: states it has at the next looks. ``answers``: what exec prints.

    ``lost``: how many answers of exec get lost on the way. ``announced``: the daemon's "oom" events of it.
    """

    name: str = "box"
    status: str = "running"
    code: int = 0
    error: str = ""
    oom: bool = False
    age: float = 60
    image: str = "sha256:1"
    named: str = "limani.dev/lab/web:1"
    policy: str = "no"
    restarts: int = 0
    env: list[str] = field(default_factory=list)
    pid_mode: str = ""
    log: bytes = b""
    ports: dict[str, Any] = field(default_factory=dict)
    answers: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    later: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0
    announced: list[dict[str, Any]] = field(default_factory=list)
    id: str = "b0x"

    @property
    def client(self) -> Any:
        """The way to the daemon's events."""
        wanted = {"container": self.id, "event": "oom"}

        def events(filters: Mapping[str, str], **_: object) -> list[dict[str, Any]]:
            return self.announced if filters == wanted else []

        return SimpleNamespace(api=SimpleNamespace(events=events))

    @property
    def attrs(self) -> dict[str, Any]:
        """The daemon's answer."""
        return {
            "State": {
                "Status": self.status,
                "ExitCode": self.code,
                "Error": self.error,
                "OOMKilled": self.oom,
                "StartedAt": started(self.age),
                "Pid": 4242,
            },
            "Image": self.image,
            "Config": {"Image": self.named, "Env": self.env},
            "HostConfig": {"RestartPolicy": {"Name": self.policy}, "PidMode": self.pid_mode},
            "RestartCount": self.restarts,
        }

    def reload(self) -> None:
        """Look again: the next of the states to come."""
        for name, value in (self.later.pop(0) if self.later else {}).items():
            setattr(self, name, value)

    def logs(self, tail: int) -> bytes:
        """Its last lines."""
        return b"\n".join(self.log.splitlines()[-tail:])

    def exec_run(self, command: list[str]) -> SimpleNamespace:
        """Only what ``answers`` knows can be run, and only while it runs."""
        if self.status != "running":
            raise APIError("is not running")
        if self.lost:
            self.lost -= 1
            return SimpleNamespace(exit_code=0, output=b"")
        said = self.answers.get(tuple(command))
        return SimpleNamespace(exit_code=127 if said is None else 0, output=(said or "").encode())


@dataclass
class Image:
    """An image: its id, layers, and what ``docker save`` writes."""

    id: str = "sha256:1"
    layers: tuple[str, ...] = ("base",)
    archive: bytes = b""

    @property
    def attrs(self) -> dict[str, Any]:
        """The daemon's answer."""
        return {"RootFS": {"Layers": list(self.layers)}}

    def save(self, chunk_size: int) -> Iterator[bytes]:
        """The archive in pieces."""
        for at in range(0, len(self.archive), chunk_size):
            yield self.archive[at : at + chunk_size]


class Client:
    """Docker's client over these containers and images."""

    def __init__(self, *containers: Container, images: Mapping[str, Image] | None = None) -> None:
        known = images or {}

        def container(name: str) -> Container:
            for item in containers:
                if item.name == name:
                    return item
            raise NotFound(name)

        def image(name: str) -> Image:
            if name not in known:
                raise ImageNotFound(name)
            return known[name]

        def listed(**_options: Any) -> list[Container]:
            return list(containers)

        self.containers = SimpleNamespace(get=container, list=listed)
        self.images = SimpleNamespace(get=image)
        self.died: list[dict[str, Any]] = []

    def events(self, **_options: Any) -> list[dict[str, Any]]:
        """What happened."""
        return self.died


def world(client: Client, workspace: Path = Path("/nowhere")) -> World:
    """A lesson on that daemon."""
    return World(
        lesson="toy",
        workspace=workspace,
        values={},
        namespace=None,
        kubeconfig=None,
        docker_host="unix:///nowhere",
        address="127.0.0.1",
        env={},
        started=0.0,
        _open={"docker": client},
    )


def tar(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """An archive of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
