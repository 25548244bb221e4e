"""Seeding a real cluster: what is there afterwards is what the source had, and the second run does nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limani.errors import LimaniError, NodeUnknown, SomeNodesFailed
from limani.image.archive import ArchiveSource
from limani.image.platform import Platform
from tests.integration.seed.conftest import Seeder
from tests.support.images import make_archive
from tests.support.pods import run_pod

pytestmark = pytest.mark.integration

NODES = ("n1", "n2", "n3")


def test_check_mode_predicts_exactly_what_the_run_does(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """Check mode names every missing digest and byte, touches nothing; the run moves exactly that; the next nothing."""
    path, name = archive
    before = {node: cleaned.names(node) for node in NODES}
    predicted = cleaned.put(path, check=True)
    assert {node: cleaned.names(node) for node in before} == before
    done = cleaned.put(path)
    again = cleaned.put(path)
    for node in before:
        assert predicted["nodes"][node]["predicted"]["bytes"] == done["nodes"][node]["bytes"] > 24_000_000
        assert name in cleaned.names(node)
    assert predicted["diff"] == done["diff"]
    assert (predicted["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert done["summary"]["uploaded"] == predicted["nodes"]["n1"]["predicted"]["bytes"]
    assert again["summary"]["bytes"] == again["summary"]["uploaded"] == 0
    assert again["diff"] == {"before": {}, "after": {}}


async def _digest(path: Path) -> str:
    async with ArchiveSource(path) as source:
        return (await source.image(None, Platform.host())).digest


async def test_image_keeps_its_digest(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """The digest on every node is the source's."""
    import asyncio

    path, name = archive
    result = await asyncio.to_thread(cleaned.put, path)
    want = await _digest(path)
    for node in result["nodes"]:
        listing = cleaned.cluster.exec(node, ["ctr", "-n", "k8s.io", "images", "ls", f"name=={name}"])
        assert want in listing


def test_pod_starts_from_the_seeded_image(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """A pod with imagePullPolicy Never starts on each node."""
    path, name = archive
    cleaned.put(path)
    for node in NODES:
        assert run_pod(cleaned.kubeconfig, node, name, ["sh", "-c", "echo it runs"]) == "it runs\n"


def test_only_the_changed_layer_travels(cleaned: Seeder, archive: tuple[Path, str], tmp_path: Path) -> None:
    """A new version of an image that shares its big layer moves only the small one, once from here."""
    path, name = archive
    cleaned.put(path)
    seed = path.parent.name
    changed = tmp_path / "changed.tar"
    base = json.loads(json.dumps(str(path)))
    assert base
    make_archive(changed, name, [("test_only_the_changed_layer_travels", 24_000_000), (f"new-{seed}", 50_000)])
    result = cleaned.put(changed)
    assert result["changed"]
    assert all(50_000 < node["bytes"] < 60_000 for node in result["nodes"].values())
    assert 50_000 < result["summary"]["uploaded"] < 60_000


def test_new_node_gets_it_from_those_that_have_it(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """When a node already holds the blobs nothing leaves the controller."""
    path, _ = archive
    cleaned.put(path, nodes=["n1"])
    result = cleaned.put(path)
    assert result["summary"]["uploaded"] == 0
    assert result["nodes"]["n1"]["changed"] is False
    assert {result["nodes"][node]["source"] for node in ("n2", "n3")} <= {"n1", "n2", "n3"}


def test_pin_and_unpin(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """Pin protects the image in CRI's eyes, pin: false takes that back, leaving it out changes nothing."""
    path, _ = archive
    assert cleaned.put(path, pin=True)["nodes"]["n1"]["images"]
    assert cleaned.put(path, pin=True)["changed"] is False
    assert cleaned.put(path)["changed"] is False
    assert cleaned.put(path, pin=False, check=True)["changed"] is True
    assert cleaned.put(path, pin=False)["changed"] is True
    assert cleaned.put(path, pin=False)["changed"] is False


def test_absent_removes_and_is_idempotent(seeder: Seeder, archive: tuple[Path, str]) -> None:
    """Absent takes the name off all nodes; check mode says so before; the second run changes nothing."""
    path, name = archive
    seeder.put(path)
    assert seeder.remove(name, check=True)["changed"] is True
    assert name in seeder.names("n1")
    assert seeder.remove(name)["changed"] is True
    assert all(name not in seeder.names(node) for node in NODES)
    assert seeder.remove(name)["changed"] is False
    assert all(not seeder.leftovers(node) for node in NODES)


def test_unknown_node_is_refused_before_anything_changes(seeder: Seeder, archive: tuple[Path, str]) -> None:
    """A node that does not exist is bad input that names it and the nodes there are."""
    with pytest.raises(NodeUnknown, match=r"n9.*n1"):
        seeder.put(archive[0], nodes=["n1", "n9"])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_archive_leaves_no_name(seeder: Seeder, archive: tuple[Path, str], share: float) -> None:
    """An archive cut short fails the task and names the file; no node has the image."""
    path, name = archive
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(LimaniError, match=r"image\.tar") as caught:
        seeder.put(path)
    assert caught.value.code in ("archive_invalid", "nodes_failed", "image_not_found")
    assert all(name not in seeder.names(node) for node in NODES)


def test_flipped_byte_in_the_archive_leaves_no_name(seeder: Seeder, archive: tuple[Path, str]) -> None:
    """A byte changed inside a layer is found; no node has the image."""
    path, name = archive
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(LimaniError) as caught:
        seeder.put(path)
    text = json.dumps(caught.value.to_dict())
    assert "digest_mismatch" in text or "archive_invalid" in text
    assert all(name not in seeder.names(node) for node in NODES)


def test_min_success_tolerates_what_it_allows(seeder: Seeder, archive: tuple[Path, str]) -> None:
    """A name that no source has fails the task as a whole, not as a success with hidden failures."""
    with pytest.raises(LimaniError, match="nothere"):
        seeder.run(images=[{"archive": str(archive[0]), "name": "limani.dev/test/nothere:1"}], min_success=0)


def test_failed_nodes_are_never_a_success(seeder: Seeder, archive: tuple[Path, str]) -> None:
    """An agent that refuses (an unknown engine) fails every node, and the verdict says so."""
    with pytest.raises(SomeNodesFailed) as caught:
        seeder.put(archive[0], engine="docker")
    assert all(node["failed"] for node in caught.value.fields["nodes"].values())
