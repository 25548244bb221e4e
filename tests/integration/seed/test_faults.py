"""Things go wrong in the middle of a run on a real cluster: what is true afterwards, and what the next run costs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from limani.errors import LimaniError
from limani.fleet.fleet import Fleet
from limani.kube.session import KubeSession
from limani.seed import run as seed_run
from tests.integration.seed.conftest import MB, Seeder, Trigger

pytestmark = pytest.mark.integration

NODES = ("n1", "n2", "n3")
RATE = 8 * MB  # slow enough that "in the middle" is a moment one can hit


def first_node(seeder: Seeder, archive: Path) -> str:
    """The node the controller uploads to: the first of the chain."""
    predicted = seeder.put(archive, check=True)["nodes"]
    return max(sorted(predicted), key=lambda node: (predicted[node]["bytes"], node))


def agent_pid(seeder: Seeder, node: str) -> int:
    """Process of the agent's container, seen from the host, asked of containerd."""
    out = seeder.cluster.exec(node, ["pgrep", "-f", "limani.agent"])
    return int(out.split()[0])


def total(result: dict[str, Any]) -> int:
    return int(result["summary"]["uploaded"])


def size_of(seeder: Seeder, archive: Path) -> int:
    return int(seeder.put(archive, check=True)["nodes"]["n1"]["predicted"]["bytes"])


def test_node_that_is_down_fails_alone(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """A node without power is named with its reason; the others have the image."""
    path, name = archive
    cleaned.cluster.stop_node("n3")
    try:
        failed = cleaned.put_and_fail(path)
        assert [node for node in NODES if failed["nodes"][node]["failed"]] == ["n3"]
        assert failed["nodes"]["n3"]["error"]["code"] in ("agent_unreachable", "agent_missing", "timed_out")
        assert all(name in cleaned.names(node) for node in ("n1", "n2"))
        assert cleaned.put(path, min_success=2)["summary"]["failed"] == 1
    finally:
        cleaned.cluster.start_node("n3")
        ready(cleaned, "n3")
    assert cleaned.put(path)["nodes"]["n3"]["changed"]


def ready(seeder: Seeder, node: str) -> None:
    """Wait until a node's agent answers again.

    The API server goes on saying Ready of a node that was away for less than the grace period, so only asking tells.
    """

    async def answers() -> bool:
        async with KubeSession.open(seeder.kubeconfig) as session:
            try:
                fleet = await Fleet.find(session, names=[node])
                await fleet.agent(node).status()
            except LimaniError:
                return False
            return True

    deadline = time.monotonic() + 120
    while not asyncio.run(answers()):
        assert time.monotonic() < deadline, f"the agent of {node} does not answer"
        time.sleep(0.5)


def test_node_that_dies_in_the_middle(
    cleaned: Seeder, archive: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plug is pulled on one node at half: it alone fails, and is named; the next run completes it."""
    monkeypatch.setattr(seed_run, "PATIENCE_S", 5.0)
    path, name = archive
    victim = first_node(cleaned, path)
    trigger = Trigger(lambda: cleaned.cluster.stop_node(victim), 0.5, victim)
    try:
        failed = cleaned.put_and_fail(path, rate=RATE, on_bytes=trigger)
        trigger.done()
        assert [node for node in NODES if failed["nodes"][node]["failed"]] == [victim]
        assert all(name in cleaned.names(node) for node in NODES if node != victim)
    finally:
        cleaned.cluster.start_node(victim)
        ready(cleaned, victim)
    again = cleaned.put(path)
    assert again["summary"]["changed"] == 1
    assert total(again) == 0, "the others hold every blob, so nothing leaves the controller"


def test_link_cut_and_restored(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """The first node's cable is out for five seconds at 60 %: all succeed, at most 1.1 times the bytes are sent."""
    path, _ = archive
    size = size_of(cleaned, path)
    victim = first_node(cleaned, path)

    def cut() -> None:
        cleaned.cluster.connect_node(victim, connected=False)
        try:
            time.sleep(5)  # the length of the cut, not a wait for a state
        finally:
            cleaned.cluster.connect_node(victim, connected=True)

    trigger = Trigger(cut, 0.6, victim)
    result = cleaned.put(path, rate=RATE, on_bytes=trigger)
    trigger.done()
    assert total(result) <= 1.1 * size
    assert all(node["bytes"] <= 1.1 * size for node in result["nodes"].values())


def test_agent_killed_in_the_middle(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """Kill -9 of the first node's agent at half: it comes back, goes on from its spool, all succeed."""
    path, name = archive
    size = size_of(cleaned, path)
    victim = first_node(cleaned, path)
    trigger = Trigger(lambda: kill_agent(cleaned, victim), 0.5, victim)
    result = cleaned.put(path, rate=RATE, on_bytes=trigger)
    trigger.done()
    assert all(name in cleaned.names(node) for node in NODES)
    assert total(result) <= 1.1 * size


def kill_agent(seeder: Seeder, node: str) -> None:
    seeder.cluster.exec(node, ["kill", "-9", str(agent_pid(seeder, node))])


def test_containerd_restarted_in_the_middle(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """Containerd of one node is restarted while bytes arrive: all succeed."""
    path, name = archive
    trigger = Trigger(lambda: cleaned.cluster.restart_process("n2/containerd"), 0.5, "n2")
    cleaned.put(path, rate=RATE, on_bytes=trigger)
    trigger.done()
    assert all(name in cleaned.names(node) for node in NODES)


def test_api_server_restarted_in_the_middle(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """The API server, which relays everything, is restarted at half: all succeed, at most 1.1 times the bytes."""
    path, name = archive
    size = size_of(cleaned, path)
    trigger = Trigger(lambda: cleaned.cluster.restart_process("kube-apiserver"), 0.5)
    result = cleaned.put(path, rate=RATE, on_bytes=trigger)
    trigger.done()
    for node in NODES:  # what comes after this test needs the API server, too
        ready(cleaned, node)
    assert all(name in cleaned.names(node) for node in NODES)
    assert total(result) <= 1.1 * size


def test_two_runs_at_once_share_every_blob(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """Two seeding runs of the same image at the same time: both succeed, the bytes leave the controller once."""
    path, _ = archive
    size = size_of(cleaned, path)

    async def both() -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(asyncio.to_thread(cleaned.put, path, rate=RATE) for _ in range(2))))

    results = asyncio.run(both())
    assert sum(total(result) for result in results) <= 1.1 * size


def test_interrupt_leaves_no_name_lease_or_ingest(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """Ctrl-C at half: no node names the image; leases and ingests are gone within a minute; the rest resumes."""
    path, name = archive
    size = size_of(cleaned, path)
    command = [sys.executable, "-m", "limani.cli.main", "load", "-i", str(path), "--rate", str(RATE)]
    environment = os.environ | {"KUBECONFIG": cleaned.kubeconfig}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "50 %" in line or any(f"({share} %)" in line for share in range(40, 90)):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(20) == 130, rest
    assert "Traceback" not in rest
    assert all(name not in cleaned.names(node) for node in NODES)
    deadline = time.monotonic() + 60
    while any(cleaned.leftovers(node) for node in NODES) and time.monotonic() < deadline:
        time.sleep(0.5)  # containerd has no event for an aborted ingest
    assert [cleaned.leftovers(node) for node in NODES] == [[], [], []]
    again = cleaned.put(path)
    assert total(again) < 0.8 * size, "what had arrived is not sent again"
