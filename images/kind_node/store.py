"""A containerd content store that holds an archive's images, made before the node exists."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from images.kind_node.programs import Programs
from limani.errors import CommandFailed

_DISABLED = (
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.nri.v1.nri",
    "io.containerd.tracing.processor.v1.otlp",
)


def fill(programs: Programs, archive: Path, work: Path) -> Path:
    """Import ``archive`` into a new store below ``work`` and return its root folder, as ``/var/lib/containerd`` has it.

    The images are pinned, so the kubelet never removes them, and unpacked by a node at their first use.
    """
    root = work / "store"
    with _containerd(programs, root, work) as address:
        command = [str(programs.path("ctr")), "--address", str(address), "--namespace", "k8s.io", "images", "import"]
        options = ["--local", "--all-platforms", "--no-unpack", "--label", "io.cri-containerd.pinned=pinned"]
        done = subprocess.run(
            [*command, *options, str(archive)], capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            raise CommandFailed(f"ctr did not import {archive}: {done.stderr.strip()[-800:]}", arguments=command)
    return root


def keep(name: str) -> bool:
    """Whether a path of the store belongs to images: content and its index, nothing of a running daemon."""
    top = ("io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt")
    return any(part in name for part in top) or name.rpartition("/")[2] in ("var", "lib", "containerd")


@contextlib.contextmanager
def _containerd(programs: Programs, root: Path, work: Path) -> Iterator[Path]:
    """A containerd that only knows content, listening on the address given."""
    work.mkdir(parents=True, exist_ok=True)
    address, config = work / "containerd.sock", work / "containerd.toml"
    lines = [
        "version = 3",
        f"root = {json.dumps(str(root))}",
        f"state = {json.dumps(str(work / 'state'))}",
        f"disabled_plugins = {json.dumps(_DISABLED)}",
        "[grpc]",
        f"address = {json.dumps(str(address))}",
    ]
    config.write_text("\n".join(lines) + "\n")
    command = [str(programs.path("containerd")), "--config", str(config)]
    log = work / "containerd.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, log.open("wb") as output:
        # sd_notify(3): containerd announces that it serves.
        ready.bind(str(work / "notify"))
        ready.settimeout(30)
        environment = {**os.environ, "NOTIFY_SOCKET": str(work / "notify")}
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            while b"READY=1" not in ready.recv(4096):
                pass
            yield address
        except TimeoutError as error:
            raise CommandFailed(f"containerd did not start: {log.read_text()[-800:]}", arguments=command) from error
        finally:
            process.terminate()
            process.wait(20)
