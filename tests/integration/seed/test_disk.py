"""A node whose disk cannot take the image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from images.agent.build import build
from limani.cluster import backend
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.spec import Request
from limani.deploy.task import node_agent
from tests.integration.seed.conftest import MB, Seeder, Trigger, quiet
from tests.support.images import make_archive

pytestmark = pytest.mark.integration

DISK = 420 * MB


@pytest.fixture(scope="module")
def small(lab: NativeCluster) -> Iterator[Seeder]:
    """A cluster of two nodes; the disk of n2's containerd is small. Its binaries are those of the shared cluster."""
    native = backend.get("native")
    request = Request(name="small-disk", nodes=2, node_disks={"n2": DISK}, binaries=lab.spec.binaries)
    native.create(request, progress=quiet)
    try:
        cluster = NativeCluster.open("small-disk")
        node_agent({"kubeconfig": str(cluster.kubeconfig), "archive": str(build())}, check=False, progress=quiet)
        yield Seeder(cluster)
    finally:
        native.delete("small-disk")


def test_too_large_image_is_refused_before_the_first_byte(small: Seeder, tmp_path: Path) -> None:
    """The node that is too small says needed and free bytes; nothing is sent to it; the other has the image."""
    path, name = tmp_path / "large.tar", "limani.dev/test/too-large:1"
    make_archive(path, name, [("too-large", 160 * MB)])
    predicted = small.put_and_fail(path, check=True)
    failed = small.put_and_fail(path)
    for result in (predicted, failed):
        error = result["nodes"]["n2"]["error"]
        assert error["code"] == "disk_full"
        assert error["fields"]["needed_bytes"] > error["fields"]["free_bytes"] > 0
        assert result["nodes"]["n2"]["bytes"] == 0
    assert not failed["nodes"]["n1"]["failed"]
    assert name in small.names("n1")
    assert name not in small.names("n2")


def test_disk_that_fills_up_in_the_middle(small: Seeder, tmp_path: Path) -> None:
    """Somebody else fills the disk while bytes arrive: that node fails, nothing half done stays, the other succeeds."""
    path, name = tmp_path / "image.tar", "limani.dev/test/disk-fills:1"
    make_archive(path, name, [("disk-fills", 40 * MB)])
    hog = "/var/lib/containerd/hog"
    trigger = Trigger(
        lambda: small.cluster.exec("n2", ["sh", "-c", f"cat /dev/zero > {hog} 2>/dev/null; true"]), 0.3, "n2"
    )
    try:
        failed = small.put_and_fail(path, rate=8 * MB, on_bytes=trigger)
        trigger.done()
    finally:
        small.cluster.exec("n2", ["rm", "-f", hog])
    assert failed["nodes"]["n2"]["error"]["code"] in ("disk_full", "runtime_failed")
    assert not failed["nodes"]["n1"]["failed"]
    assert name not in small.names("n2")
    assert small.leftovers("n2") == []
    assert small.put(path)["nodes"]["n2"]["changed"]
