"""Stand-ins for docker, kind and minikube: they print what was recorded and note how they were called."""

from __future__ import annotations

import json
import shlex
from pathlib import Path


class Programs:
    """A folder of commands that is the whole PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "calls.jsonl"
        self._log.write_text("")

    def add(self, name: str, answers: dict[str, tuple[int, str]], errors: str = "") -> None:
        """``answers``: (exit code, output) by how the arguments begin; the longest fitting beginning wins."""
        lines = ["#!/bin/sh", 'line="$*"']
        lines.append(f"printf '%s\\n' \"{name} $line\" >>{shlex.quote(str(self._log))}")
        lines.append('case "$line" in')
        for start in sorted(answers, key=len, reverse=True):
            code, text = answers[start]
            file = self.folder / f"{name}-{len(lines)}.out"
            file.write_text(text + "\n")
            lines.append(f"{shlex.quote(start)}*) while IFS= read -r l; do printf '%s\\n' \"$l\"; done <{file}")
            lines.append(f"printf '%s' {shlex.quote(errors)} >&2; exit {code} ;;")
        lines.append(f'*) echo "{name}: not recorded: $line" >&2; exit 99 ;;')
        lines.append("esac")
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The command lines so far."""
        return self._log.read_text().splitlines()


def container(name: str, cluster: str, role: str, status: str = "running", **host: object) -> dict[str, object]:
    """The parts of ``docker inspect`` that are read, as Docker 20.10 prints them for a node of kind 0.33."""
    ports = {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "36443"}]} if role == "control-plane" else {}
    return {
        "Name": f"/{name}",
        "State": {"Status": status, "Pid": 42 if status != "exited" else 0},
        "Config": {
            "Image": "kindest/node:v1.36.3",
            "Labels": {"io.x-k8s.kind.cluster": cluster, "io.x-k8s.kind.role": role},
        },
        "HostConfig": {"Binds": ["/lib/modules:/lib/modules:ro"], "PortBindings": ports, **host},
        "NetworkSettings": {"Networks": {"kind": {"IPAddress": "172.18.0.2"}}, "Ports": ports},
    }


def dump(data: object) -> str:
    """JSON on one line."""
    return json.dumps(data)
