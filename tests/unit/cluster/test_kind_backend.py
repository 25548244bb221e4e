"""The kind backend with stand-ins for kind and docker: what it asks of them, and its one clear error for each lack."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from limani.cluster.hosted import checks, record, task
from limani.cluster.hosted.options import HostedRequest, parse_mount, parse_port, request_from
from limani.cluster.hosted.record import Record
from limani.cluster.kind import config
from limani.cluster.kind.backend import KindBackend, check_request
from limani.errors import (
    BadInput,
    ClusterExists,
    ClusterUnknown,
    CommandFailed,
    HostUnsuitable,
    NodeUnknown,
    Unsupported,
)
from tests.unit.cluster.programs import Programs, container, dump

INFO = dump({"ServerVersion": "20.10.24", "CgroupVersion": "2"})
NODES = [container("c-control-plane", "c", "control-plane"), container("c-worker", "c", "worker")]
KUBE_NODES = dump(
    {
        "items": [
            {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
            for name in ("c-control-plane", "c-worker")
        ]
    }
)
KUBEADM = "kind: ClusterConfiguration\nnetworking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}\n"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """kind 0.33 and a Docker with the cluster ``c`` of two nodes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("LIMANI_STATE_DIR", str(tmp_path / "state"))
    for name in ("DOCKER_HOST", "LIMANI_KIND_IMAGE", "LIMANI_KIND_API_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    programs = Programs(folder)
    programs.add("kind", {"--version": (0, "kind version 0.33.0\n"), "delete": (0, ""), "load": (0, "")})
    programs.add("docker", docker())
    return programs


def docker(nodes: list[dict[str, object]] | None = None) -> dict[str, tuple[int, str]]:
    found = NODES if nodes is None else nodes
    return {
        "info": (0, INFO),
        "ps": (0, "1 2" if found else ""),
        "inspect": (0, dump(found)),
        "exec c-control-plane cat /kind/version": (0, "v1.36.3"),
        "exec c-control-plane cat /kind/kubeadm.conf": (0, KUBEADM),
        "exec c-control-plane kubectl": (0, KUBE_NODES),
        "stop": (0, ""),
        "start": (0, ""),
    }


def ours(name: str = "c") -> None:
    record.save(name, Record(backend="kind", request=HostedRequest(name=name, nodes=2)))


def create(**fields: object) -> None:
    KindBackend().create(request_from({"name": "new", "nodes": 1, **fields}), progress=lambda line: None)


def test_kind_is_missing(programs: Programs) -> None:
    """Without kind the error says how to get it."""
    (programs.folder / "kind").unlink()
    with pytest.raises(HostUnsuitable, match="kind is not installed") as caught:
        create()
    assert "kind.sigs.k8s.io" in caught.value.hint


def test_kind_is_too_old(programs: Programs) -> None:
    """An old kind is named with its version and the oldest that will do."""
    programs.add("kind", {"--version": (0, "kind version 0.20.0\n")})
    with pytest.raises(HostUnsuitable) as caught:
        create()
    assert caught.value.fields["found"] == "0.20.0"
    assert caught.value.fields["expected"] == "0.24.0"


def test_docker_is_missing(programs: Programs) -> None:
    """Without the docker command the error names it and the backend that needs none."""
    (programs.folder / "docker").unlink()
    with pytest.raises(HostUnsuitable, match="docker is not installed") as caught:
        create()
    assert "native" in caught.value.hint


@pytest.mark.parametrize("there", [False, True])
def test_docker_does_not_run(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """No socket, or one nobody listens on: Docker does not run, whatever the command printed."""
    programs.add("docker", {"info": (1, "")}, errors="some words in any language")
    path = tmp_path / "docker.sock"
    if there:
        with socket.socket(socket.AF_UNIX) as closed:
            closed.bind(str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with pytest.raises(HostUnsuitable, match="does not run") as caught:
        create()
    assert "systemctl start docker" in caught.value.hint


def test_docker_is_closed_to_the_user(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket one may not open: the hint names Docker's group."""
    programs.add("docker", {"info": (1, "")})
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")

    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(HostUnsuitable, match="may not use Docker") as caught:
            create()
    assert "usermod -aG docker" in caught.value.hint


def test_not_enough_memory(tmp_path: Path) -> None:
    """The error says how much is needed and how much there is."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 4000000 kB\nMemAvailable: 512000 kB\n")
    checks.check_memory(1, 400 << 20, meminfo)
    with pytest.raises(HostUnsuitable, match="3 nodes needs 1024 MiB") as caught:
        checks.check_memory(3, meminfo=meminfo)
    assert caught.value.fields["free_bytes"] == 512000 << 10


def test_port_is_taken(programs: Programs) -> None:
    """A port somebody listens on is named before anything is made."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HostUnsuitable, match=f"Port {port}/tcp of 127.0.0.1 is taken"):
            create(ports=[f"{port}:30080"])
        with pytest.raises(HostUnsuitable, match="is taken"):
            create(api_port=port)
    assert not [call for call in programs.calls if call.startswith("kind create")]


def test_failed_create_leaves_nothing(programs: Programs) -> None:
    """When kind fails its words are shown, and both its nodes and Limani's record are removed."""
    programs.add(
        "kind", {"--version": (0, "kind version 0.33.0\n"), "create": (1, ""), "delete": (0, "")}, errors="no image"
    )
    with pytest.raises(CommandFailed, match="exit code 1: no image"):
        create()
    assert any(call.startswith("kind delete cluster --name new") for call in programs.calls)
    assert record.load("kind", "new") is None


def test_existing_cluster_that_matches(programs: Programs) -> None:
    """Asking for what exists changes nothing."""
    ours()
    result = task.lab_cluster({"backend": "kind", "name": "c", "nodes": 2}, check=False, progress=print)
    assert not result["changed"]
    assert result["diff"]["before"] == result["diff"]["after"]
    assert [node["state"] for node in result["nodes"]] == ["Ready", "Ready"]
    assert {call.split()[1] for call in programs.calls} <= {"info", "ps", "inspect", "exec"}


def test_existing_cluster_that_differs(programs: Programs) -> None:
    """What differs is named, all of it."""
    ours()
    wanted = {"backend": "kind", "name": "c", "nodes": 3, "kubernetes_version": "v1.35.1", "mounts": ["/tmp:/host"]}
    with pytest.raises(ClusterExists) as caught:
        task.lab_cluster(wanted, check=False, progress=print)
    assert caught.value.fields["differences"] == {
        "nodes": {"found": 2, "wanted": 3},
        "kubernetes_version": {"found": "1.36.3", "wanted": "1.35.1"},
        "mounts": {"found": [], "wanted": ["/tmp:/host"]},
    }


def test_foreign_cluster_is_not_touched(programs: Programs) -> None:
    """A cluster Limani did not make can be looked at; deleting, stopping and loading are refused with the way out."""
    backend = KindBackend()
    assert backend.status("c").state == "running"
    for act in (lambda: backend.delete("c"), lambda: backend.stop("c"), lambda: backend.load("c", Path("x"))):
        with pytest.raises(ClusterExists) as caught:
            act()
        assert "adopt" in caught.value.hint
    with pytest.raises(ClusterExists):
        task.lab_cluster({"backend": "kind", "name": "c", "state": "absent"}, check=True, progress=print)
    assert {call.split()[1] for call in programs.calls} <= {"--version", "info", "ps", "inspect", "exec"}


def test_check_mode_makes_nothing(programs: Programs) -> None:
    """In check mode a missing cluster is announced with what was asked, and neither kind nor the state is used."""
    programs.add("docker", docker([]))
    result = task.lab_cluster({"backend": "kind", "name": "new", "nodes": 2}, check=True, progress=print)
    assert result["changed"]
    assert result["diff"] == {"before": {}, "after": {"name": "new", "nodes": 2, "state": "running", "limani": True}}
    assert not any(call.startswith("kind") for call in programs.calls)
    assert not record.folder("kind", "new").exists()


def test_stop_and_start(programs: Programs) -> None:
    """Only what runs is stopped, the control plane last; unknown nodes are refused."""
    ours()
    backend = KindBackend()
    assert backend.stop("c")
    assert [call for call in programs.calls if " stop " in call] == [
        "docker stop c-worker",
        "docker stop c-control-plane",
    ]
    assert not backend.start("c")
    with pytest.raises(NodeUnknown, match="only c-control-plane, c-worker"):
        backend.stop("c", "c-worker9")


def test_unknown_cluster(programs: Programs) -> None:
    """A cluster that does not exist is an error to look at and nothing to delete."""
    programs.add("docker", docker([]))
    with pytest.raises(ClusterUnknown):
        KindBackend().status("c")
    assert not KindBackend().delete("c")


def test_configuration(tmp_path: Path) -> None:
    """Mounts are in every node, ports on the control plane, mirrors are files of containerd."""
    request = HostedRequest(
        name="c",
        nodes=2,
        mounts=(parse_mount("/srv:/srv:ro"),),
        ports=(parse_port("8080:30080"),),
        registry_mirrors={"docker.io": ["http://10.0.0.1:5000"]},
        pod_subnet="10.1.0.0/16",
    )
    mirrors = config.write_mirrors(request.registry_mirrors, tmp_path)
    made = config.document(request, 7443, mirrors, {"failCgroupV1": False})
    assert made["networking"] == {"apiServerPort": 7443, "podSubnet": "10.1.0.0/16"}
    assert [node["role"] for node in made["nodes"]] == ["control-plane", "worker"]
    for node in made["nodes"]:
        assert [mount["containerPath"] for mount in node["extraMounts"]] == ["/srv", "/etc/containerd/certs.d"]
    ports = made["nodes"][0]["extraPortMappings"]
    assert ports == [{"hostPort": 8080, "containerPort": 30080, "listenAddress": "127.0.0.1", "protocol": "TCP"}]
    assert "extraPortMappings" not in made["nodes"][1]
    assert json.loads(made["kubeadmConfigPatches"][0])["failCgroupV1"] is False
    assert (tmp_path / "docker.io/hosts.toml").read_text() == (
        'server = "https://docker.io"\n[host."http://10.0.0.1:5000"]\n  capabilities = ["pull", "resolve"]\n'
    )


@pytest.mark.parametrize(
    "params",
    [{"docker": True}, {"runtime": "docker"}, {"binaries": "/x"}, {"node_disks": {"n1": "1G"}}, {"memory": "2G"}],
)
def test_what_kind_cannot_do_is_refused_by_name(params: dict[str, object]) -> None:
    """Options kind cannot honour are refused, never ignored."""
    with pytest.raises(Unsupported) as caught:
        check_request(request_from({"name": "c", **params}))
    assert caught.value.fields["field"] in params


@pytest.mark.parametrize(
    "params",
    [
        {"mounts": ["/a"]},
        {"mounts": ["a:/b"]},
        {"mounts": ["/a:/b:rw"]},
        {"ports": ["80"]},
        {"ports": ["80:99999"]},
        {"ports": ["80:81/sctp"]},
        {"ports": ["localhost:80:81"]},
        {"registry_mirrors": {"docker.io/x": ["http://m"]}},
        {"registry_mirrors": {"docker.io": ["m:5000"]}},
        {"kubernetes_version": "latest"},
        {"api_address": "here"},
        {"runtime": "crio"},
        {"name": "Ctl"},
    ],
)
def test_bad_input_is_refused(params: dict[str, object]) -> None:
    """What is not right is refused before anything is looked at."""
    with pytest.raises(BadInput):
        request_from(params)
