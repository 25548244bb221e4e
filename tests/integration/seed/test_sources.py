"""Images of every source end on the nodes with the source's digest."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest
import zstandard
from kubernetes import client, config

from limani.errors import LimaniError
from limani.image.layer import File, build_layer_from_files
from limani.image.platform import Platform
from limani.image.writer import ImageToWrite, write_archive
from tests.integration.seed.conftest import MB, Seeder
from tests.support.images import make_archive
from tests.support.registry import RegistryServer, registry

pytestmark = pytest.mark.integration
__all__ = ["registry"]


def target_digest(seeder: Seeder, node: str, name: str) -> str:
    """The digest containerd has under a name, asked without the agent."""
    lines = seeder.cluster.exec(node, ["ctr", "-n", "k8s.io", "images", "ls", f"name=={name}"]).splitlines()
    return next(word for word in lines[-1].split() if word.startswith("sha256:"))


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_compressed_archives(cleaned: Seeder, archive: tuple[Path, str], kind: str) -> None:
    """A compressed archive is recognised by its content and read without a copy on disk."""
    path, name = archive
    data = path.read_bytes()
    path.write_bytes(gzip.compress(data, 1) if kind == "gz" else zstandard.compress(data))
    cleaned.put(path)
    assert all(name in cleaned.names(node) for node in ("n1", "n2", "n3"))


def test_private_registry_by_pull_secret(seeder: Seeder, registry: RegistryServer, tmp_path: Path) -> None:
    """A registry with TLS and a password: the controller reads it once, the nodes never hear of the password."""
    path = tmp_path / "image.tar"
    written = make_archive(path, "limani.dev/test/source:1", [("registry", 8 * MB)])
    name = f"{registry.host}/team/app:1"
    registry.push(path, "team/app:1")
    api = client.CoreV1Api(config.new_client_from_config(seeder.kubeconfig))
    secret = base64.b64encode(json.dumps(registry.dockerconfigjson()).encode()).decode()
    body = {
        "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": secret},
    }
    api.create_namespaced_secret("default", body)
    hosts = [{"host": registry.host, "ca_file": str(registry.ca_file)}]
    try:
        with pytest.raises(LimaniError) as refused:
            seeder.run(images=[{"name": name}], registries=hosts)
        assert registry.password not in json.dumps(refused.value.to_dict())
        secrets = [{"namespace": "default", "name": "pull"}]
        result = seeder.run(images=[{"name": name}], registries=hosts, pull_secrets=secrets)
        assert registry.password not in json.dumps(result)
        assert {target_digest(seeder, node, name) for node in result["nodes"]} == {written.digest}
        assert seeder.run(images=[{"name": name}], registries=hosts, pull_secrets=secrets)["changed"] is False
        for node in ("n1", "n2", "n3"):
            assert registry.password not in seeder.cluster.exec(node, ["sh", "-c", "cat /var/log/pods/limani*/*/*.log"])
    finally:
        api.delete_namespaced_secret("pull", "default")
        seeder.remove(name, min_success=0)


def test_registry_that_is_down_is_one_clear_error(seeder: Seeder, registry: RegistryServer) -> None:
    """A registry that does not answer fails before any node is touched, and is named."""
    registry.stop()
    with pytest.raises(LimaniError, match=registry.host) as caught:
        seeder.run(images=[{"name": f"{registry.host}/team/app:1"}])
    assert caught.value.code == "source_unavailable"


def test_local_containerd(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """Another containerd's image (that of n1, by its socket) is put onto n2 and n3 with the same digest."""
    path, name = archive
    written = cleaned.put(path, nodes=["n1"])["images"][0]["digest"]
    socket = str(cleaned.cluster.socket("n1"))
    image = {"name": name, "source": "containerd", "socket": socket, "containerd_namespace": "k8s.io"}
    cleaned.run(images=[image], nodes=["n2", "n3"])
    assert {target_digest(cleaned, node, name) for node in ("n1", "n2", "n3")} == {written}


def test_another_node(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """An image one node holds goes to the others from there; not a byte of its layers passes the controller."""
    path, name = archive
    cleaned.put(path, nodes=["n2"])
    result = cleaned.run(images=[{"name": name, "source": "node", "node": "n2"}])
    assert result["summary"]["uploaded"] == 0
    assert result["nodes"]["n2"]["changed"] is False
    assert all(name in cleaned.names(node) for node in ("n1", "n2", "n3"))


def test_index_keeps_its_digest_and_only_the_nodes_platform_travels(seeder: Seeder, tmp_path: Path) -> None:
    """Of an image for two platforms only this one's layers move; the name points to the index as in the source."""
    name = "limani.dev/test/two-platforms:1"
    images = []
    for architecture, size in (("amd64", 3 * MB), ("arm64", 5 * MB)):
        layer = build_layer_from_files({"data": File(bytes([len(images)]) * size)}, tmp_path)
        images.append(ImageToWrite(name, [layer], {}, Platform("linux", architecture)))
    path = tmp_path / "two.tar"
    written = write_archive(path, images)
    try:
        result = seeder.put(path)
        assert {target_digest(seeder, node, name) for node in result["nodes"]} == {written[0].digest}
        assert written[0].digest != written[0].manifest_digest
        host = 0 if str(Platform.host()) == "linux/amd64" else 1
        sizes = [image.layers[0].descriptor.size for image in images]
        assert {node["bytes"] for node in result["nodes"].values()} == {sizes[host]}
    finally:
        seeder.remove(name, min_success=0)


def test_wrong_platform_is_a_clear_error(seeder: Seeder, tmp_path: Path) -> None:
    """An image without a variant for the nodes names what it has."""
    layer = build_layer_from_files({"data": File(b"x")}, tmp_path)
    path = tmp_path / "s390x.tar"
    write_archive(path, [ImageToWrite("limani.dev/test/s390x:1", [layer], {}, Platform("linux", "s390x"))])
    with pytest.raises(LimaniError, match="s390x") as caught:
        seeder.put(path)
    assert caught.value.code == "platform_missing"


def test_prune_keeps_what_the_node_needs(seeder: Seeder, tmp_path: Path) -> None:
    """prune by pattern removes exactly what check mode lists; the agent's and the pause image stay."""
    names = [f"limani.dev/test/prune:{tag}" for tag in (1, 2, 3)]
    for number, name in enumerate(names):
        path = tmp_path / f"{number}.tar"
        make_archive(path, name, [(f"prune-{number}", 1000)], busybox=False)
        seeder.put(path)
    policy = {"keep": 1, "older_than": None, "patterns": ["limani.dev/test/prune:*"]}
    predicted = seeder.run(state="pruned", prune=policy, check=True)
    done = seeder.run(state="pruned", prune=policy)
    assert [sorted(node["images"]) for node in predicted["nodes"].values()] == [
        sorted(node["images"]) for node in done["nodes"].values()
    ]
    assert all(len(node["images"]) == 2 for node in done["nodes"].values())
    everything = {"keep": None, "older_than": None, "patterns": ["*"]}
    going = seeder.run(state="pruned", prune=everything, check=True)["nodes"]["n1"]["images"]
    assert not [name for name in going if "pause" in name or "limani.dev/agent" in name]
    seeder.remove(*names, min_success=0)


def test_labels_follow_what_the_nodes_hold(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """label_nodes sets a label where the image is and takes it away with the image; both are idempotent."""
    path, name = archive

    def labels() -> list[str]:
        api = client.CoreV1Api(config.new_client_from_config(cleaned.kubeconfig))
        return [
            key for node in api.list_node().items for key in node.metadata.labels if key.startswith("image.limani.dev")
        ]

    cleaned.put(path, label_nodes=True)
    assert len(labels()) == 3
    assert cleaned.put(path, label_nodes=True)["changed"] is False
    cleaned.remove(name, label_nodes=True)
    assert labels() == []


def test_image_in_use_is_refused_unless_forced(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """absent refuses an image a pod uses, naming it, on that node only."""
    path, name = archive
    cleaned.put(path)
    api = client.CoreV1Api(config.new_client_from_config(cleaned.kubeconfig))
    from tests.support.pods import wait_phase

    container = {"name": "main", "image": name, "imagePullPolicy": "Never", "command": ["sleep", "600"]}
    spec = {"nodeName": "n1", "containers": [container], "terminationGracePeriodSeconds": 0}
    api.create_namespaced_pod("default", {"metadata": {"name": "user"}, "spec": spec})
    try:
        wait_phase(api, "user", ("Running",), 60)
        with pytest.raises(LimaniError) as caught:
            cleaned.remove(name)
        nodes = caught.value.fields["nodes"]
        assert [node for node in nodes if nodes[node]["failed"]] == ["n1"]
        assert nodes["n1"]["error"]["code"] == "image_in_use"
        assert name in cleaned.names("n1")
        assert cleaned.remove(name, force=True)["nodes"]["n1"]["changed"]
    finally:
        api.delete_namespaced_pod("user", "default", grace_period_seconds=0)
