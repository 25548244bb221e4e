"""The minikube backend with a stand-in that prints recordings of 1.38.1; and the real command where PATH has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from limani.cluster.hosted import record
from limani.cluster.hosted.options import HostedRequest, request_from
from limani.cluster.hosted.record import Record
from limani.cluster.minikube.backend import MinikubeBackend, check_request, start_arguments
from limani.errors import ClusterExists, ClusterUnknown, CommandFailed, HostUnsuitable, Unsupported
from tests.unit.cluster.programs import Programs, dump

DATA = Path(__file__).parents[2] / "data/minikube/1.38.1"
PROFILE = {
    "invalid": [],
    "valid": [
        {
            "Name": "lab",
            "Status": "OK",
            "Config": {
                "APIServerPort": 8443,
                "KubernetesConfig": {"KubernetesVersion": "v1.35.1", "ContainerRuntime": "containerd"},
                "Nodes": [{"Name": ""}, {"Name": "m02"}],
            },
        }
    ],
}


def read(name: str) -> str:
    return (DATA / name).read_text()


def answers(status: str = "status-two-nodes.json") -> dict[str, tuple[int, str]]:
    return {
        "version --short": (0, read("version-short.txt")),
        "profile list -o json": (0, dump(PROFILE)),
        "status -p lab -l cluster -o json": (0, read(status)),
        "status -p gone": (85, read("status-missing-profile.jsonl")),
        "node list": (0, "lab\t192.168.49.2\nlab-m02\t192.168.49.3\n"),
        "stop": (0, ""),
        "node stop": (0, ""),
        "start": (0, ""),
        "delete": (0, read("delete-missing-profile.jsonl")),
        "image load": (0, ""),
    }


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """minikube 1.38.1 with the profile ``lab`` of two nodes, and a Docker that runs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("LIMANI_STATE_DIR", str(tmp_path / "state"))
    programs = Programs(folder)
    programs.add("minikube", answers())
    programs.add("docker", {"info": (0, dump({"ServerVersion": "28.0.0", "CgroupVersion": "2"}))})
    return programs


def ours() -> None:
    record.save("lab", Record(backend="minikube", request=HostedRequest(name="lab", nodes=2)))


def test_status_comes_from_the_components(programs: Programs) -> None:
    """A stopped worker makes the cluster degraded, whatever ``profile list`` says (it says OK)."""
    assert MinikubeBackend().status("lab").state == "running"
    programs.add("minikube", answers("status-worker-stopped.json"))
    status = MinikubeBackend().status("lab")
    assert status.state == "degraded"
    assert [(node.name, node.state, node.address) for node in status.nodes] == [
        ("lab", "up", "192.168.49.2"),
        ("lab-m02", "down", "192.168.49.3"),
    ]
    assert status.kubernetes_version == "1.35.1"


def test_missing_profile(programs: Programs) -> None:
    """A profile that does not exist is named."""
    with pytest.raises(ClusterUnknown, match="'gone'"):
        MinikubeBackend().status("gone")


def test_foreign_profile_is_not_touched(programs: Programs) -> None:
    """A profile Limani did not make is neither deleted nor stopped nor loaded into."""
    backend = MinikubeBackend()
    for act in (lambda: backend.delete("lab"), lambda: backend.stop("lab"), lambda: backend.load("lab", Path("x"))):
        with pytest.raises(ClusterExists, match="not made by Limani"):
            act()
    assert not [call for call in programs.calls if call.split()[1] in ("delete", "stop", "image")]


def test_stop_load_delete_of_ours(programs: Programs) -> None:
    """What is Limani's is stopped, loaded into and deleted with the commands minikube has for it."""
    ours()
    backend = MinikubeBackend()
    assert backend.stop("lab", "lab-m02")
    backend.load("lab", Path("/i.tar"))
    assert not backend.start("lab")
    assert backend.delete("lab")
    changing = [
        call for call in programs.calls if call.split()[1] in ("node", "image", "delete") and "list" not in call
    ]
    assert changing == [
        "minikube node stop lab-m02 -p lab",
        "minikube image load /i.tar -p lab",
        "minikube delete -p lab -o json",
    ]
    assert record.load("minikube", "lab") is None


def test_differences(programs: Programs) -> None:
    """Nodes, version and runtime are compared with the profile."""
    found = MinikubeBackend().differences(request_from({"name": "lab", "nodes": 3, "runtime": "docker"}))
    assert found == {"nodes": {"found": 2, "wanted": 3}, "runtime": {"found": "containerd", "wanted": "docker"}}


@pytest.mark.parametrize(
    ("code", "recording", "words"),
    [
        (63, "start-without-docker.jsonl", "Docker does not run"),
        (106, "start-too-old-kubernetes.jsonl", "Kubernetes 1.20.0 is not supported"),
    ],
)
def test_failed_start(programs: Programs, code: int, recording: str, words: str) -> None:
    """The exit code says what it means, the last error event why; nothing is left."""
    programs.add("minikube", {**answers(), "start": (code, read(recording))})
    with pytest.raises(CommandFailed, match=words) as caught:
        MinikubeBackend().create(HostedRequest(name="new", nodes=1, memory=64 << 20), progress=lambda line: None)
    assert caught.value.fields["exit_code"] == code
    assert "minikube delete -p new -o json" in programs.calls
    assert record.load("minikube", "new") is None


def test_minikube_is_missing_or_too_old(programs: Programs) -> None:
    """The error names the command, its version, and where to get it."""
    programs.add("minikube", {"version --short": (0, "v1.30.1")})
    with pytest.raises(HostUnsuitable, match=r"version v1\.30\.1; 1\.33\.0"):
        MinikubeBackend().create(HostedRequest(name="new"), progress=print)
    (programs.folder / "minikube").unlink()
    with pytest.raises(HostUnsuitable, match="minikube is not installed"):
        MinikubeBackend().create(HostedRequest(name="new"), progress=print)


@pytest.mark.parametrize(
    "params",
    [
        {"docker": True},
        {"pod_subnet": "10.1.0.0/16"},
        {"mounts": ["/tmp:/a", "/var:/b"]},
        {"mounts": ["/tmp:/a:ro"]},
        {"registry_mirrors": {"quay.io": ["http://10.0.0.1"]}},
    ],
)
def test_what_minikube_cannot_do_is_refused_by_name(params: dict[str, object]) -> None:
    """Options minikube cannot honour are refused, never ignored."""
    with pytest.raises(Unsupported) as caught:
        check_request(request_from({"name": "c", **params}))
    assert caught.value.fields["field"] in params


@pytest.mark.skipif(shutil.which("minikube") is None, reason="no minikube on PATH: the recordings of 1.38.1 were used")
def test_real_minikube_reads_and_takes_our_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The minikube of this machine prints what is known, and knows every option we start it with."""
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path))
    assert MinikubeBackend().names() == []
    with pytest.raises(ClusterUnknown):
        MinikubeBackend().status("gone")
    wanted = {"mounts": ["/tmp:/a"], "ports": ["8080:30080"], "memory": "2G", "runtime": "docker", "api_port": 8443}
    wanted |= {"image": "example.org/base:1", "service_subnet": "10.96.0.0/16", "kubernetes_version": "1.35.1"}
    wanted |= {"registry_mirrors": {"docker.io": ["http://10.0.0.1:5000"]}, "nodes": 2}
    known = subprocess.run(["minikube", "start", "--help"], capture_output=True, text=True, check=True).stdout
    for option in start_arguments(request_from({"name": "c", **wanted})):
        assert f"{option.partition('=')[0]}=" in known
