"""The bundle: what is in it, parts of it, and that no damage stays unseen."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from limani.errors import ArchiveInvalid, BadInput, DigestMismatch, SourceUnavailable
from limani.image.writer import ImageToWrite, WrittenImage, build_layer_from_files, write_archive
from limani.lab import bundle

SHELL, WEB, TOO = (f"limani.dev/lab/{name}" for name in ("shell:1", "web:1", "web:2"))


@pytest.fixture
def written(tmp_path: Path) -> list[WrittenImage]:
    """A bundle of three images that share a layer, with its list, in ``tmp_path``."""
    base = build_layer_from_files({"bin/sh": b"shell" * 1000}, tmp_path / "layers")
    web = build_layer_from_files({"srv/web": b"one"}, tmp_path / "layers")
    too = build_layer_from_files({"srv/web": b"two"}, tmp_path / "layers")
    images = [ImageToWrite(SHELL, [base]), ImageToWrite(WEB, [base, web]), ImageToWrite(TOO, [base, too])]
    result = write_archive(tmp_path / "limani-lab.tar", images)
    found = bundle.read(tmp_path / "limani-lab.tar")
    bundle.list_of(found.archive).write_text(bundle.listing(found))
    return result


@pytest.fixture
def archive(written: list[WrittenImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive; neither a clone nor a cache nor the environment offers another."""
    monkeypatch.setattr(bundle, "REPOSITORY", tmp_path / "installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(bundle.VARIABLE, raising=False)
    return tmp_path / "limani-lab.tar"


def test_names_digests_and_sizes(archive: Path, written: list[WrittenImage]) -> None:
    """The list of images has the digests the writer told, and finds an image by its short and its full name."""
    found = bundle.verify(archive)
    assert [(i.reference, i.digest, i.image_id) for i in found.images] == [
        (str(image.reference), image.digest, image.config_digest) for image in written
    ]
    assert found.image("web:1") == found.image(WEB) == found.images[1]
    assert found.images[1].size > found.images[0].size > 5000
    with pytest.raises(BadInput, match=r"no image 'web:3', only shell:1, web:1, web:2"):
        found.image("web:3")


def test_list_is_for_sha256sum(archive: Path) -> None:
    """The list has one line as sha256sum writes it; all others are comments."""
    lines = bundle.list_of(archive).read_text().splitlines()
    assert [line for line in lines if not line.startswith("# ")] == [f"{bundle.sha256(archive)}  limani-lab.tar"]


def test_every_flipped_bit_is_seen(archive: Path) -> None:
    """One flipped bit anywhere in the archive, in its header, a document, a layer or the padding, is refused."""
    whole = archive.read_bytes()
    for position in (0, 600, 2000, len(whole) // 2, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 4
        archive.write_bytes(damaged)
        with pytest.raises(DigestMismatch, match="not what its list"):
            bundle.verify(archive)
    archive.write_bytes(whole[:-512])
    with pytest.raises(DigestMismatch):
        bundle.verify(archive)
    archive.write_bytes(whole)
    bundle.verify(archive)


def test_a_changed_list_is_seen(archive: Path) -> None:
    """A list that names another digest for an image, or lacks one, does not pass either."""
    listed = bundle.list_of(archive)
    text = listed.read_text()
    first, rest = text.split("\n", 1)
    for changed in (rest, text.replace(first.split()[2], "sha256:" + "0" * 64), ""):
        listed.write_text(changed)
        with pytest.raises(DigestMismatch):
            bundle.verify(archive)


def test_incomplete(archive: Path) -> None:
    """A missing list or archive is told by name; what is no bundle of the lab is refused."""
    bundle.list_of(archive).unlink()
    with pytest.raises(SourceUnavailable, match=r"limani-lab\.tar\.sha256"):
        bundle.verify(archive)
    archive.write_bytes(b"no archive")
    with pytest.raises(ArchiveInvalid):
        bundle.read(archive)


def test_part(archive: Path) -> None:
    """A part has the wanted images and what they need, the shared layer once, and nothing of the others."""
    with tarfile.open(fileobj=BytesIO(bundle.read(archive).part([WEB, SHELL]))) as tar:
        names = tar.getnames()
        index, docker = (json.loads(tar.extractfile(n).read()) for n in ("index.json", "manifest.json"))  # type: ignore[union-attr]
    assert [entry["RepoTags"] for entry in docker] == [[SHELL], [WEB]]
    assert [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]] == [SHELL, WEB]
    blobs = {entry["Config"] for entry in docker} | {layer for entry in docker for layer in entry["Layers"]}
    blobs |= {f"blobs/sha256/{entry['digest'].removeprefix('sha256:')}" for entry in index["manifests"]}
    assert len(blobs) == 6
    assert sorted(names) == sorted({*blobs, "oci-layout", "index.json", "manifest.json"})


def test_found_by_name_then_in_the_cache(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LIMANI_LAB_BUNDLE names the file or its folder; else it is in the cache; else the error says how to get it."""
    with pytest.raises(SourceUnavailable) as refused:
        bundle.find()
    assert bundle.VARIABLE in refused.value.hint
    assert "make lab-bundle" in refused.value.hint
    cached = tmp_path / "cache/limani/lab"
    assert str(cached) in refused.value.hint
    cached.mkdir(parents=True)
    for path in (archive, bundle.list_of(archive)):
        (cached / path.name).write_bytes(path.read_bytes())
    assert bundle.find().archive == cached / "limani-lab.tar"
    for named in (archive, archive.parent):
        monkeypatch.setenv(bundle.VARIABLE, str(named))
        assert bundle.find().archive == archive
    copy = bundle.write(tmp_path / "out/limani-lab.tar")
    assert bundle.verify(copy.archive).images == bundle.read(archive).images
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(DigestMismatch):
        bundle.find()
