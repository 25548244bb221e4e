"""The lab touches nothing that is not its own: other clusters, other people's containers."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from limani.errors import ForeignObjects, NotTheLab
from limani.kube.session import KubeSession
from limani.lab.lab import Lab, all_pass
from limani.lab.place import marker
from limani.lab.place.cluster import cluster_status
from limani.lab.place.docker import client, docker_status
from tests.lab.leftovers import listing

pytestmark = [pytest.mark.integration, pytest.mark.lab]

TOYS = Path(__file__).parents[1] / "data" / "labs"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMANI_LABS", str(TOYS))


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every request to a cluster called prod, which is what the user's own kubeconfig means."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            requests.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"kind": "List", "items": [], "metadata": {"name": "prod"}}).encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the names http.server asks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = tmp_path / "prod.kubeconfig"
    names = {"cluster": "prod", "user": "prod"}
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "prod",
                "contexts": [{"name": "prod", "context": names}],
                "clusters": [
                    {"name": "prod", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}},
                ],
                "users": [{"name": "prod", "user": {}}],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    yield requests
    server.shutdown()
    server.server_close()


async def test_every_verb_leaves_the_users_own_cluster_alone(homes: dict[str, Path], prod: list[str]) -> None:
    """With KUBECONFIG pointing at prod every verb works, and prod gets not one request."""
    lab = Lab(homes["cluster"], "en")
    await lab.start("toy-pod")
    assert all_pass(await lab.solve())
    await lab.break_()
    assert all_pass(await lab.solve())
    await lab.reset()
    assert lab.env()["KUBECONFIG"] == str(homes["cluster"] / "kubeconfig")
    await lab.reset(remove=True)
    assert prod == []


async def test_a_cluster_without_the_mark_is_refused(homes: dict[str, Path]) -> None:
    """Once the lab's id is no longer in the cluster, nothing that changes something works, and nothing changes."""
    lab = Lab(homes["cluster"], "en")
    await lab.start("toy-pod")
    place = cluster_status(lab.home)
    assert place
    async with KubeSession.open(str(place.kubeconfig), place.context) as session:
        await marker.remove(session, place.marker)
        try:
            before = await listing(lab)
            for verb in (lab.start("toy-pod"), lab.reset(), lab.reset(remove=True)):
                with pytest.raises(NotTheLab):
                    await verb
            assert await listing(lab) == before
        finally:
            await marker.add(session, place.marker)
    await lab.reset(remove=True)


async def test_a_kubeconfig_that_leads_elsewhere_is_refused(homes: dict[str, Path], prod: list[str]) -> None:
    """Where the lab's own kubeconfig has come to mean prod, prod is looked at for the mark and then left alone."""
    from limani.lab.place.cluster import verify

    lab = Lab(homes["cluster"], "en")
    await lab.start("toy-pod")
    place = cluster_status(lab.home)
    assert place
    right = place.kubeconfig.read_text()
    try:
        other = yaml.safe_load(right)
        other["clusters"][0]["cluster"] = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0][
            "cluster"
        ]
        place.kubeconfig.write_text(yaml.safe_dump(other))
        with pytest.raises(NotTheLab):
            await asyncio.to_thread(verify, place)
    finally:
        place.kubeconfig.write_text(right)
    assert prod
    assert [request for request in prod if not request.startswith("GET ")] == []
    await lab.reset(remove=True)


@pytest.mark.parametrize("kind", ["container", "volume"])
async def test_foreign_objects_of_a_lessons_names_are_respected(homes: dict[str, Path], kind: str) -> None:
    """A container or volume somebody else made under a name the lesson uses: refused by name, and it stays."""
    lab = Lab(homes["docker"], "en")
    await lab.start("toy")
    await lab.reset(remove=True)
    place = docker_status(lab.home)
    assert place
    with client(place.host) as docker:
        docker.api.import_image_from_data(_archive(), repository="foreign", tag="1")
        try:
            if kind == "container":
                foreign = docker.containers.create("foreign:1", "/nothing", name="toy")
            else:
                foreign = docker.volumes.create("toy-data")
            before = await listing(lab)
            with pytest.raises(ForeignObjects, match=f"{kind} toy"):
                await lab.start("toy")
            assert await listing(lab) == before
            assert lab.current() is None
            foreign.remove(force=True)
        finally:
            docker.images.remove("foreign:1", force=True)
    await lab.start("toy")
    await lab.reset(remove=True)


async def test_a_daemon_of_others_keeps_what_is_theirs(homes: dict[str, Path], tmp_path: Path) -> None:
    """On a daemon that is not the lab's own, a reset removes the lesson's objects and no others made meanwhile."""
    owner = Lab(homes["docker"], "en")
    await owner.start("toy")
    await owner.reset(remove=True)
    place = docker_status(owner.home)
    assert place
    guest = Lab(tmp_path / "guest", "en")
    with client(place.host) as docker:
        await guest.start("toy", docker=place.host)
        docker.api.import_image_from_data(_archive(), repository="foreign", tag="1")
        theirs = docker.containers.create("foreign:1", "/nothing", name="theirs")
        try:
            await guest.solve()
            docker.containers.run("limani.dev/lab/shell:1", detach=True)
            await guest.down()
            assert [container.name for container in docker.containers.list(all=True)] == ["theirs"]
            assert "foreign:1" in [tag for image in docker.images.list() for tag in image.tags]
        finally:
            theirs.remove(force=True)
            docker.images.remove("foreign:1", force=True)
    assert not guest.home.exists()


def _archive() -> bytes:
    """A file system with one file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("nothing")
        tar.addfile(entry, io.BytesIO())
    return content.getvalue()


def test_the_command_says_what_is_foreign(homes: dict[str, Path], tmp_path: Path) -> None:
    """limani lab start of an unknown lesson ends with 1, names the nearest, and makes nothing."""
    home = tmp_path / "home"
    command = [Path(sys.executable).with_name("limani"), "lab", "start", "toyy"]
    done = subprocess.run(
        command, env={**os.environ, "LIMANI_LAB_HOME": str(home)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "The nearest is toy" in done.stderr
    assert not home.exists()
