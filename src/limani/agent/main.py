"""``python -m limani.agent``: read the settings, listen, serve until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from asyncio.sslproto import SSLProtocol
from collections.abc import Mapping, Sequence
from pathlib import Path

from limani.agent import log, memory
from limani.agent.auth import Authority, Kubernetes, TokenFile
from limani.engine.base import Engine
from limani.errors import BadInput, LimaniError
from limani.wire import PORT

SSLProtocol.max_size = 64 << 10
"""asyncio reads TLS into a new buffer of this size for each record of 16 KiB. Its own 256 KiB are above the threshold
where glibc maps memory anew: decrypting then costs four times as much."""

STOP_S = 3.0
"""How long requests under way may go on after SIGTERM; a seed run is resumed by its caller anyway."""


def settings(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """Flags, each with an environment variable as its default (``--spool`` is ``LIMANI_SPOOL``)."""
    parser = argparse.ArgumentParser(prog="limani-agent", description="Limani's service on a node.")

    def option(name: str, default: str, text: str) -> None:
        variable = "LIMANI_" + name.upper().replace("-", "_")
        parser.add_argument(f"--{name}", default=environment.get(variable, default), help=f"{text} (${variable})")

    option("node", socket.gethostname(), "name of this node")
    option("listen", "", "address to listen on; empty: all")
    option("port", str(PORT), "port to listen on")
    option("pod-ip", "", "address other agents reach this one at")
    option("peer-url", "", "URL other agents reach this one at, if not https://POD_IP:PORT")
    option("auth", "kubernetes", "who vouches for callers: kubernetes, or token-file")
    option("token-file", "/etc/limani/tokens", "file of 'token user [verbs]' lines for --auth token-file")
    option("containerd-socket", "/run/containerd/containerd.sock", "containerd's socket; empty: none")
    option("containerd-root", "/var/lib/containerd", "where to look for the disk of containerd's store")
    option("containerd-namespace", "k8s.io", "containerd namespace")
    option("snapshotter", "", "snapshotter, if the CRI does not say")
    option("docker-socket", "/run/docker.sock", "dockerd's socket; empty: none")
    option("docker-root", "/var/lib/docker", "where to look for the disk of dockerd's store")
    option(
        "engines", "containerd,docker", "runtimes in order of preference; the first whose socket exists is the node's"
    )
    option("spool", "/var/spool/limani", "folder for blobs on their way")
    option("spool-limit", "0", "most bytes the spool may hold; 0: what the disk gives")
    option("log-level", "info", "debug, info, warning or error")
    return parser.parse_args(list(arguments))


def engines(options: argparse.Namespace) -> tuple[Engine, ...]:
    """The runtimes whose sockets exist, in order of preference. Raises BadInput if there is none."""
    found = []
    for name in options.engines.split(","):
        path = str(getattr(options, f"{name.strip()}_socket", ""))
        if path and Path(path).exists():
            found.append(_engine(name.strip(), path, options))
    if not found:
        sockets = " nor ".join(path for path in (options.containerd_socket, options.docker_socket) if path)
        raise BadInput(
            f"No container runtime: neither {sockets or 'a containerd nor a dockerd socket'} exists.",
            hint="Name the socket with --containerd-socket or --docker-socket.",
        )
    return tuple(found)


def _engine(name: str, path: str, options: argparse.Namespace) -> Engine:
    # Imported here: a node with one runtime does not pay for the other's libraries.
    if name == "containerd":
        from limani.engine.containerd.engine import Containerd

        return Containerd(
            path,
            owner=options.node,
            namespace=options.containerd_namespace,
            disks=(options.containerd_root,),
            snapshotter=options.snapshotter,
        )
    from limani.engine.docker.engine import Docker

    return Docker(path, disks=(options.docker_root,))


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    from aiohttp import web

    from limani.agent import certificate
    from limani.agent.app import Parts, build
    from limani.agent.spool import Spool

    tls = certificate.make(options.node)
    port = int(options.port)
    address = options.pod_ip or options.listen or socket.gethostname()
    host = f"[{address}]" if ":" in address else address
    parts = Parts(
        node=options.node,
        peer_url=options.peer_url or f"https://{host}:{port}",
        fingerprint=tls.fingerprint,
        engines=engines(options),
        spool=Spool(Path(options.spool), limit=int(options.spool_limit)),
        authority=_authority(options),
    )
    runner = web.AppRunner(
        build(parts),
        access_log=None,
        handler_cancellation=True,  # a caller who goes away ends the work
        auto_decompress=False,
        read_bufsize=128 << 10,
        shutdown_timeout=STOP_S,
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await runner.setup()
    await web.TCPSite(runner, options.listen or None, port, ssl_context=tls.context, backlog=512).start()
    names = [engine.name for engine in parts.engines]
    log.event("listening", node=options.node, port=port, engines=names, fingerprint=tls.fingerprint)
    await stopped.wait()
    log.event("stopping", node=options.node)
    await runner.cleanup()


def _authority(options: argparse.Namespace) -> Authority:
    if options.auth == "token-file":
        return TokenFile(Path(options.token_file))
    if options.auth == "kubernetes":
        from limani.kube.incluster import InCluster

        return Kubernetes(options.node, InCluster())
    raise BadInput(f"--auth is {options.auth!r}; it must be kubernetes or token-file.")


def main() -> int:
    """Run the agent; returns the exit code."""
    memory.limit_arenas()
    options = settings(sys.argv[1:], os.environ)
    log.set_up(options.log_level)
    try:
        asyncio.run(serve(options))
    except LimaniError as error:
        sys.stderr.write(f"limani-agent: {error.message}\n  hint: {error.hint}\n")
        return 2 if isinstance(error, BadInput) else 1
    except OSError as error:
        sys.stderr.write(f"limani-agent: {error}\n")
        return 1
    return 0
