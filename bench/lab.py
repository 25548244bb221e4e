"""The cluster the figures are taken on: links that count and can be shaped, processes with their memory, images."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from images.agent import build as agent_image
from limani.cluster.native import cgroups
from limani.cluster.native.cluster import NativeCluster
from limani.errors import CommandFailed
from limani.errors import LimaniError as Internal

LIMANI = [sys.executable, "-m", "limani.cli.main"]


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def limani(*arguments: str, **environment: str) -> str:
    """Run the command and return what it printed; its errors go to our standard error."""
    done = subprocess.run(
        [*LIMANI, *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    return done.stdout


class Lab:
    """A cluster made for a bench, with agents; deleted at the end."""

    def __init__(self, cluster: NativeCluster) -> None:
        self.cluster = cluster
        self.nodes = [node.name for node in cluster.spec.node_list]

    @classmethod
    def create(cls, name: str, nodes: int) -> Lab:
        """Make a cluster; nothing is in it yet."""
        folder = os.environ.get("LIMANI_BINARIES")
        limani("cluster", "create", name, "--nodes", str(nodes), *(["--binaries", folder] if folder else []))
        return cls.open(name)

    @classmethod
    def open(cls, name: str) -> Lab:
        """A cluster that exists."""
        return cls(NativeCluster.open(name))

    @classmethod
    @contextlib.contextmanager
    def with_agents(cls, name: str, nodes: int) -> Iterator[Lab]:
        """A cluster with an agent on every node, for the length of a ``with`` block."""
        limani("cluster", "delete", name)
        lab = cls.create(name, nodes)
        try:
            limani("agent", "install", "--archive", str(agent_image.build()), "--kubeconfig", lab.kubeconfig)
            yield lab
        finally:
            lab.delete()

    def delete(self) -> None:
        """Delete the cluster."""
        limani("cluster", "delete", self.cluster.spec.name)

    @property
    def kubeconfig(self) -> str:
        """Path of the kubeconfig."""
        return str(self.cluster.kubeconfig)

    # --- images ------------------------------------------------------------------------------------------------------

    def load(
        self, archive: Path, nodes: Sequence[str] = (), *, each: int | None = None, **environment: str
    ) -> dict[str, Any]:
        """``limani load``; its result. ``each``: bytes every node must have received, or the figure is worthless."""
        chosen = [word for node in nodes or self.nodes for word in ("--node", node)]
        command = ["load", "-i", str(archive), *chosen, "-o", "json", "--kubeconfig", self.kubeconfig]
        result = dict(json.loads(limani(*command, **environment)))
        moved = {name: node["bytes"] for name, node in result["nodes"].items()}
        # Layers are a little larger than the files in them.
        if each is not None and not all(each <= count <= each * 1.01 + 10_000 for count in moved.values()):
            raise Internal(f"Every node should have received {each:,} bytes; they received {moved}.")
        return result

    def ctr_import(self, archive: Path) -> None:
        """What ``kind load image-archive`` does: the whole file is piped into ``ctr images import`` on every node."""

        def one(node: str) -> None:
            ctr = [f"{self.cluster.spec.binaries}/ctr", "--namespace=k8s.io", "images", "import", "--all-platforms"]
            command = self.cluster.command(node, [*ctr, "--digests", "--snapshotter=overlayfs", "-"])
            with subprocess.Popen(["cat", str(archive)], stdout=subprocess.PIPE) as cat:
                # It warns of old cgroups at every call; its errors come with the exit code.
                done = subprocess.run(command, stdin=cat.stdout, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise CommandFailed(f"ctr images import failed on {node}: {done.stderr.strip()[-800:]}")

        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(one, self.nodes))

    def forget(self, reference: str) -> None:
        """Remove an image with all its names and content from every node, so that the next run begins from nothing."""

        def one(node: str) -> None:
            ctr = [f"{self.cluster.spec.binaries}/ctr", "--namespace=k8s.io", "images"]
            rows = [line.split()[:3] for line in self.cluster.exec(node, [*ctr, "list"]).splitlines()[1:]]
            # kind's way also leaves a name for the archive's index; the kubelet's runtime names every image by its
            # configuration, and goes on doing so when its tag has moved to another: each holds on to the content.
            repository = reference.rpartition(":")[0]
            ours = (f"{repository}:", f"{repository}@", "import-")
            kept = {digest for name, _, digest in rows if not name.startswith((*ours, "sha256:"))}
            gone = sorted(name for name, _, digest in rows if name.startswith(ours) or digest not in kept)
            if gone:
                self.cluster.exec(node, [*ctr, "remove", "--sync", *gone], timeout_s=120)

        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(one, self.nodes))
        os.sync()

    # --- links -------------------------------------------------------------------------------------------------------

    def sent_by_controller(self) -> int:
        """Bytes this machine has sent to the nodes: what leaves through the bridge (between nodes does not count)."""
        return _counter(self.cluster.spec.bridge, "tx_bytes")

    def received_by(self, node: str) -> int:
        """Bytes that have entered a node, from wherever: what its end of the cable on this machine has sent."""
        return _counter(self.cluster.node(node).veth, "tx_bytes")

    @contextlib.contextmanager
    def shaped(self, megabits: int) -> Iterator[None]:
        """Every link at that rate for a while: this machine's to the cluster, and each node's in both directions."""
        spec = self.cluster.spec
        rule = ["root", "tbf", "rate", f"{megabits}mbit", "burst", "128kb", "latency", "50ms"]
        links = [(None, spec.bridge), *((None, node.veth) for node in spec.node_list)]
        links += [(node.netns, "eth0") for node in spec.node_list]
        try:
            for namespace, link in links:
                _tc(namespace, "replace", link, rule)
            yield
        finally:
            for namespace, link in links:
                _tc(namespace, "del", link, ["root"], check=False)

    # --- memory ------------------------------------------------------------------------------------------------------

    def rss(self) -> int:
        """Resident bytes of all processes of the cluster, shared pages counted in each."""
        return sum(_status(pid, "VmRSS") for pid in cgroups.processes(self.cluster.spec.name))

    def agents(self) -> list[int]:
        """Process numbers of the agents."""
        return [pid for pid in cgroups.processes(self.cluster.spec.name) if _is_agent(pid)]

    def agent_rss(self) -> int:
        """Resident bytes of the largest agent now."""
        return max(_status(pid, "VmRSS") for pid in self.agents())

    def reset_agent_peaks(self) -> None:
        """Begin the search for the agents' highest memory anew (proc(5), clear_refs)."""
        for pid in self.agents():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def agent_peak(self) -> int:
        """Most resident bytes any agent has had since ``reset_agent_peaks``."""
        return max(_status(pid, "VmHWM") for pid in self.agents())


def _counter(link: str, name: str) -> int:
    return int(Path(f"/sys/class/net/{link}/statistics/{name}").read_text())


def _tc(namespace: str | None, verb: str, link: str, rule: Sequence[str], *, check: bool = True) -> None:
    command = ["tc", *(["-n", namespace] if namespace else []), "qdisc", verb, "dev", link, *rule]
    subprocess.run(command, check=check, capture_output=not check)


def _is_agent(pid: int) -> bool:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"limani.agent" in words
    return False


def _status(pid: int, key: str) -> int:
    """A memory figure of /proc/PID/status in bytes, 0 for a process that has ended."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0
