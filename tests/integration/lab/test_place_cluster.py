"""The lab's cluster on the real thing: its mark, images on its nodes, what is deleted and what is left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limani.cluster import backend
from limani.cluster.native.cluster import NativeCluster
from limani.errors import BadInput, ClusterUnknown, NotTheLab
from limani.lab import bundle
from limani.lab.bundle import Bundle
from limani.lab.place import marker
from limani.lab.place.cluster import ClusterPlace, cluster_down, cluster_status, cluster_up, load_cluster, verify
from limani.lab.place.home import identity

pytestmark = pytest.mark.integration
LAB = "limani.dev/lab/"
MARK = ("--namespace", marker.NAMESPACE, "get", "configmap", marker.NAME, "--ignore-not-found", "--output", "json")


def kubectl(place: ClusterPlace, *arguments: str, stdin: str | None = None) -> str:
    """Run the kubectl the lab gives its learners, with the lab's kubeconfig."""
    command = [str(place.home / "bin/kubectl"), "--kubeconfig", str(place.kubeconfig), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=90, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def marked(place: ClusterPlace) -> set[str]:
    """Ids in the cluster's mark; none if there is no mark."""
    text = kubectl(place, *MARK)
    return set(json.loads(text)["data"]) if text else set()


@pytest.fixture
def place(lab: NativeCluster, tmp_path: Path) -> Iterator[ClusterPlace]:
    """A lab that was told to use the cluster of this run."""
    joined = cluster_up(tmp_path / "home", name=lab.spec.name, say=print)
    yield joined
    cluster_down(joined.home)


def test_labs_share_a_cluster_they_were_told_to_use(place: ClusterPlace, lab: NativeCluster, tmp_path: Path) -> None:
    """Each lab has its own id in the mark; going takes only that one away, and the cluster stays."""
    other = cluster_up(tmp_path / "other", backend="native", name=lab.spec.name, say=print)
    assert other.marker != place.marker
    assert {place.marker, other.marker} <= marked(place)
    cluster_down(other.home)
    assert cluster_status(other.home) is None
    assert other.marker not in marked(place)
    verify(place)
    assert lab.spec.name in backend.get("native").names()
    with pytest.raises(BadInput, match="This lab uses the native cluster"):
        cluster_up(place.home, backend="kind", say=print)


def test_a_cluster_without_the_mark_is_refused(place: ClusterPlace, lab: NativeCluster) -> None:
    """Where the mark lacks the lab's id nothing is done, and nothing is written there; down then only forgets."""
    before = kubectl(place, *MARK)
    (place.home / "id").write_text("0badc0de")
    with pytest.raises(NotTheLab, match="does not have the lab's mark"):
        cluster_up(place.home, say=print)
    foreign = cluster_status(place.home)
    assert foreign is not None
    with pytest.raises(NotTheLab):
        verify(foreign)
    assert kubectl(place, *MARK) == before
    cluster_down(place.home)
    assert lab.spec.name in backend.get("native").names()
    after = subprocess.run(
        [f"{lab.spec.binaries}/kubectl", "--kubeconfig", str(lab.kubeconfig), *MARK],
        capture_output=True,
        text=True,
        check=True,
    )
    assert after.stdout == before
    (place.home / "id").write_text(place.marker)  # the fixture takes the mark away
    cluster_up(place.home, name=lab.spec.name, say=print)


def test_an_unknown_cluster_is_refused(tmp_path: Path) -> None:
    """A name nobody's cluster has, or a backend there is not, is an error; nothing is remembered of it."""
    with pytest.raises(ClusterUnknown, match="no cluster 'nobody'"):
        cluster_up(tmp_path, name="nobody", say=print)
    with pytest.raises(BadInput, match="no backend 'moon'"):
        cluster_up(tmp_path, backend="moon", say=print)
    assert cluster_status(tmp_path) is None


def test_only_images_a_node_lacks_are_brought(
    place: ClusterPlace, lab: NativeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images come to every node, with the digest of the bundle's list; what all nodes have is not sent again."""
    sent: list[set[str]] = []
    part = Bundle.part

    def recorded(self: Bundle, references: Any) -> bytes:
        names = set(references)
        sent.append({name.removeprefix(LAB) for name in names})
        return part(self, names)

    monkeypatch.setattr(Bundle, "part", recorded)
    load_cluster(place, ["hello:1", "web:1"])
    load_cluster(place, ["hello:1", "web:1"])
    ctr(lab, "n2", "images", "remove", f"{LAB}hello:1")
    load_cluster(place, ["hello:1", "web:1"])
    assert sent[-1] == {"hello:1"}
    assert len(sent) == 2
    digest = bundle.find().image("hello:1").digest
    for node in lab.spec.node_list:
        listed = [line.split() for line in ctr(lab, node.name, "images", "list").splitlines()]
        assert [fields[2] for fields in listed if fields[0] == f"{LAB}hello:1"] == [digest]


def ctr(lab: NativeCluster, node: str, *arguments: str) -> str:
    """containerd's own command on a node."""
    command = [f"{lab.spec.binaries}/ctr", "--address", str(lab.socket(node)), "--namespace", "k8s.io", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


POD = {
    "securityContext": {"runAsNonRoot": True},
    "terminationGracePeriodSeconds": 5,
}


def pod(name: str, image: str) -> dict[str, Any]:
    """A pod of an image of the lab under the restrictions a careful cluster has."""
    container = {
        "name": name,
        "image": f"{LAB}{image}",
        "imagePullPolicy": "Never",
        "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
        "readinessProbe": {"httpGet": {"path": "/healthz" if name == "web" else "/", "port": 8080}, "periodSeconds": 1},
    }
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**POD, "containers": [container]}}


def test_pods_answer_by_name_and_through_the_api_server(place: ClusterPlace) -> None:
    """The images run unprivileged and find Services by every form of their names.

    The helper's answer comes through the API server's proxy.
    """
    load_cluster(place, ["web:2", "client:1"])
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    namespace = f"lab-{place.marker}"
    kubectl(place, "create", "namespace", namespace)
    try:
        kubectl(place, "wait", "--for=create", "serviceaccount/default", "--namespace", namespace, "--timeout=30s")
        items = [pod("web", "web:2"), pod("client", "client:1"), service]
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        kubectl(place, "--namespace", namespace, "apply", "--filename", "-", stdin=document)
        kubectl(place, "--namespace", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
        proxy = f"/api/v1/namespaces/{namespace}/pods/client:8080/proxy/?url="
        for name in ("shop", f"shop.{namespace}", f"shop.{namespace}.svc.cluster.local"):
            answer = kubectl(place, "get", "--raw", f"{proxy}http://{name}/").splitlines()
            assert answer == ["HTTP/1.1 200 OK", "version 2", "host web"]
            said = kubectl(place, "--namespace", namespace, "exec", "client", "--", "wget", "-qO-", f"http://{name}/")
            assert said == "version 2\nhost web\n"
        assert kubectl(place, "get", "--raw", f"{proxy}http://nobody/").startswith("error: ")
    finally:
        kubectl(place, "delete", "namespace", namespace, "--wait=false")


SLOW_START = """
import sys
from pathlib import Path
from limani.lab.place.cluster import cluster_up
def say(line):
    print(line, flush=True)
    if line.startswith("Boot"):
        sys.stdin.read()
cluster_up(Path(sys.argv[1]), say=say)
"""


@pytest.mark.slow
def test_a_cluster_of_its_own_comes_and_goes(tmp_path: Path) -> None:
    """SIGKILL in the middle of making it: the next up makes it whole. A node that is off is started; down deletes."""
    name = f"lab-{identity(tmp_path)}"
    native = backend.get("native")
    try:
        with subprocess.Popen(
            [sys.executable, "-c", SLOW_START, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as making:
            assert making.stdout is not None
            assert any(line.startswith("Boot") for line in making.stdout)
            making.kill()
        assert name in native.names()
        made = cluster_up(tmp_path, say=print)
        assert (made.name, made.context) == (name, "limani-lab")
        assert kubectl(made, "get", "nodes", "--output", "name").split() == ["node/n1", "node/n2"]
        assert cluster_up(tmp_path, say=print) == made
        switch_off = [sys.executable, "-m", "limani.cli.main", "cluster", "node", "stop", "n2", "--cluster", name]
        subprocess.run(switch_off, check=True, stdout=subprocess.DEVNULL)
        assert native.status(name).state == "degraded"
        assert cluster_up(tmp_path, say=print) == made
        load_cluster(made, ["web:1"])
        cluster_down(tmp_path)
        assert name not in native.names()
        assert cluster_status(tmp_path) is None
        assert not (tmp_path / "bin/kubectl").is_symlink()
    finally:
        native.delete(name)
