"""What this machine offers the lessons, what is missing, and how to get it. Looks only; changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limani.cluster import doctor as native
from limani.errors import HostUnsuitable, LimaniError
from limani.lab import bundle
from limani.lab.place import daemon, docker, programs
from limani.lab.record import Text
from limani.lab.texts import render

State = Literal["ok", "missing", "optional"]
Need = Literal["docker", "cluster"]
PORT = 8080
"""What lessons publish on 127.0.0.1."""


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``needs``: the lessons that need it; ``hint``: how to get it, unless it is ok.

    ``state``: ok, missing (those lessons cannot run) or optional (lacking, but there is another way).
    """

    id: str
    needs: tuple[Need, ...]
    state: State
    found: Text
    hint: Text | None = None

    def to_dict(self, lang: str) -> dict[str, Any]:
        """Plain data in one language."""
        hint = render(self.hint, lang) if self.hint else ""
        title = render(Text(f"doctor.{self.id}", {}), lang)
        found = render(self.found, lang)
        return {
            "id": self.id,
            "needs": list(self.needs),
            "state": self.state,
            "title": title,
            "found": found,
            "hint": hint,
        }


def examine(home: Path) -> list[Check]:
    """Everything, in the order in which it is worth mending."""
    return [_command(), _daemon(home), _images(), _port(home), *_clusters(), _kubectl()]


def can_run(checks: list[Check], needs: Need) -> bool:
    """Whether the lessons that need ``docker`` or ``cluster`` can run."""
    return not any(check.state == "missing" and needs in check.needs for check in checks)


def _command() -> Check:
    path = shutil.which("docker")
    if path:
        return Check("docker_command", ("docker",), "ok", Text("doctor.at", {"path": path}))
    return Check("docker_command", ("docker",), "missing", _NONE, Text("doctor.get_docker", {}))


def _daemon(home: Path) -> Check:
    """The daemon the lab has, or would choose (see :func:`limani.lab.place.docker.docker_up`)."""
    place = docker.docker_status(home)
    host = place.host if place else os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if answers(host):
        return Check("daemon", ("docker",), "ok", Text("doctor.answers", {"host": host}))
    if os.environ.get("DOCKER_HOST") and not place:
        return Check("daemon", ("docker",), "missing", Text("doctor.silent", {"host": host}), Text("doctor.unset", {}))
    try:
        daemon.check_machine()
    except HostUnsuitable as error:
        why = "doctor.no_programs" if error.fields.get("missing") else "doctor.no_root"
        missing = ", ".join(error.fields.get("missing", ()))
        return Check("daemon", ("docker",), "missing", _NONE, Text(why, {"missing": missing}))
    return Check("daemon", ("docker",), "ok", Text("doctor.own", {}))


def answers(host: str) -> bool:
    """Whether a Docker daemon answers there."""
    try:
        with docker.client(host):
            return True
    except LimaniError:
        return False


def _images() -> Check:
    if bundle.in_clone() and shutil.which("mmdebstrap") is None and not os.environ.get(bundle.VARIABLE):
        return Check("images", ("docker", "cluster"), "missing", _NONE, Text("doctor.get_mmdebstrap", {}))
    try:
        found = bundle.find()
    except LimaniError as error:
        message = Text("doctor.reason", {"reason": error.message})
        return Check("images", ("docker", "cluster"), "missing", message, Text("doctor.get_bundle", {}))
    size = found.archive.stat().st_size / 1e6
    values: dict[str, str | int | float | Text] = {"count": len(found.images), "size": size, "path": str(found.archive)}
    return Check("images", ("docker", "cluster"), "ok", Text("doctor.images_found", values))


def _port(home: Path) -> Check:
    """Whether the port lessons publish is free; a lesson that runs may be what has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((docker.LOOPBACK, PORT))
        except OSError:
            hint = Text("doctor.port_hint", {"port": PORT})
            return Check("port", ("docker",), "optional", Text("doctor.port_taken", {"port": PORT}), hint)
    return Check("port", ("docker",), "ok", Text("doctor.port_free", {"port": PORT}))


def _clusters() -> Iterator[Check]:
    """What can make a cluster. One way is enough, so only the last of several that lack something is an obstacle."""
    lacking = [check.name for check in native.examine() if check.state == "missing"]
    others = [name for name in ("kind", "minikube") if shutil.which(name)]
    if lacking:
        found, hint = Text("doctor.lacks", {"what": ", ".join(lacking)}), Text("doctor.native_hint", {})
        yield Check("native", ("cluster",), "optional" if others else "missing", found, hint)
    else:
        yield Check("native", ("cluster",), "ok", Text("doctor.can", {}))
    if others:
        yield Check("hosted", ("cluster",), "ok", Text("doctor.at", {"path": ", ".join(others)}))
    else:
        yield Check("hosted", ("cluster",), "optional", _NONE, Text("doctor.hosted_hint", {}))


def _kubectl() -> Check:
    path = programs.find_kubectl()
    if path:
        return Check("kubectl", ("cluster",), "ok", Text("doctor.at", {"path": str(path)}))
    return Check("kubectl", ("cluster",), "optional", _NONE, Text("doctor.kubectl_hint", {}))


_NONE = Text("doctor.none", {})
