"""limani.image.writer: OCI archives without a container tool."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from limani.errors import BadInput, ReferenceInvalid
from limani.image import digest as digests
from limani.image import media
from limani.image.manifest import ImageConfig, Index, Manifest, Platform, image_documents
from limani.image.writer import ImageToWrite, build_layer_from_files, write_archive

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        assert len({m.name for m in members}) == len(members)
        assert {m.mtime for m in members} == {0}
        return {m.name: tar.extractfile(m).read() for m in members if m.isfile()}  # type: ignore[union-attr]


def blob(files: dict[str, bytes], digest: str) -> bytes:
    data = files[f"blobs/sha256/{digest[7:]}"]
    assert digests.of(data) == digest
    return data


def test_two_images_share_a_layer(tmp_path: Path) -> None:
    """The archive is a proper OCI layout: every link holds, a shared layer is there once, Docker's names are there."""
    base = build_layer_from_files({"/etc/os-release": b"ID=x\n"}, tmp_path)
    one = build_layer_from_files({"/one": b"1"}, tmp_path, "gzip")
    two = build_layer_from_files({"/two": b"2"}, tmp_path, "zstd")
    written = write_archive(
        tmp_path / "x.tar",
        [
            ImageToWrite("r.example/one:1", [base, one], {"Cmd": ["/one"]}, AMD),
            ImageToWrite("two", [base, two], {"Cmd": ["/two"]}, AMD),
        ],
    )
    files = contents(tmp_path / "x.tar")
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = Index.parse(files["index.json"])
    assert [d.annotations for d in index.manifests] == [
        {"io.containerd.image.name": "r.example/one:1", "org.opencontainers.image.ref.name": "1"},
        {"io.containerd.image.name": "docker.io/library/two:latest", "org.opencontainers.image.ref.name": "latest"},
    ]
    for result, layers, entry in zip(written, ([base, one], [base, two]), index.manifests, strict=True):
        raw = blob(files, result.digest)
        manifest = Manifest.parse(raw)
        _, _, config = image_documents(
            [(media.OCI_MANIFEST, raw), (media.OCI_CONFIG, blob(files, result.config_digest))]
        )
        assert manifest.layers == tuple(layer.descriptor for layer in layers)
        assert config.diff_ids == tuple(layer.diff_id for layer in layers)
        assert entry.digest == result.digest == result.manifest_digest
        for layer in layers:
            assert blob(files, layer.descriptor.digest) == layer.path.read_bytes()
    assert len([name for name in files if name.startswith("blobs/")]) == 7  # 2 manifests, 2 configurations, 3 layers
    docker = json.loads(files["manifest.json"])
    assert [entry["RepoTags"] for entry in docker] == [["r.example/one:1"], ["two:latest"]]
    for entry in docker:
        config = ImageConfig.parse(files[entry["Config"]])
        assert len(config.diff_ids) == len([files[name] for name in entry["Layers"]])


def test_platforms_of_one_name_become_an_index(tmp_path: Path) -> None:
    """Images of the same name and different platforms are one multi-platform image."""
    layers = [build_layer_from_files({"/x": text}, tmp_path) for text in (b"a", b"b")]
    written = write_archive(
        tmp_path / "x.tar",
        [ImageToWrite("app:1", [layer], {}, where) for layer, where in zip(layers, (AMD, ARM), strict=True)],
    )
    files = contents(tmp_path / "x.tar")
    (entry,) = Index.parse(files["index.json"]).manifests
    assert entry.media_type == media.OCI_INDEX
    index = Index.parse(blob(files, entry.digest))
    assert {result.digest for result in written} == {index.digest}
    assert index.select(ARM).digest == written[1].manifest_digest
    assert ImageConfig.parse(blob(files, written[1].config_digest)).platform == ARM
    assert len(json.loads(files["manifest.json"])) <= 1


def test_same_input_same_bytes(tmp_path: Path) -> None:
    """An archive written twice is the same file, digests included."""
    paths = []
    for name in ("1", "2"):
        layer = build_layer_from_files({"/b": b"2", "/a": b"1"}, tmp_path / name, "gzip")
        path = tmp_path / name / "x.tar"
        write_archive(path, [ImageToWrite("a:1", [layer], {"Env": ["A=1"], "Cmd": ["x"]}, AMD)])
        paths.append(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(("images", "error"), [([], BadInput), ([ImageToWrite("Not A Name", [])], ReferenceInvalid)])
def test_nothing_is_left_when_it_fails(tmp_path: Path, images: list[Any], error: type[Exception]) -> None:
    """Refused input writes no file."""
    with pytest.raises(error):
        write_archive(tmp_path / "x.tar", images)
    assert list(tmp_path.iterdir()) == []


def test_missing_layer_file_leaves_the_old_archive(tmp_path: Path) -> None:
    """When a layer's file is gone the archive that was there stays, and no temporary file remains."""
    layer = build_layer_from_files({"/a": b"1"}, tmp_path / "l")
    path = tmp_path / "x.tar"
    path.write_bytes(b"old")
    layer.path.unlink()
    with pytest.raises(FileNotFoundError):
        write_archive(path, [ImageToWrite(None, [layer])])
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l", "x.tar"]
