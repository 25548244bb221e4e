"""Archives that are damaged or mean harm: each is refused by name, and nothing but a LimaniError ever comes out."""

import contextlib
import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limani.errors import (
    ArchiveInvalid,
    DigestMismatch,
    ImageNotFound,
    LimaniError,
    LimitExceeded,
    ManifestInvalid,
)
from limani.image import digest as digests
from limani.image import media
from limani.image.archive import ArchiveSource, Limits
from limani.image.manifest import MAX_DOCUMENT
from tests.unit.image.archives import (
    AMD,
    FORMS,
    Files,
    Pipe,
    Sample,
    as_file,
    collect,
    docker_files,
    in_folder,
    make_tar,
    sample,
    zstd,
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return sample(tmp_path_factory.mktemp("app"))


async def read_all(source: ArchiveSource) -> None:
    """Do with an archive all a run does."""
    async with source:
        image = await source.image(None, AMD)
        for layer in image.manifest.layers:
            await collect(source.open(layer))


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> bytes:
    """One tar header."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info.tobuf(tarfile.GNU_FORMAT)


END = bytes(1024)


# --- the container -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"x", "cut off"),
        (b"hello, I am not a tar\n" * 100, "is not a tar archive"),
        (os.urandom(5000).replace(b"\x1f", b"x").replace(b"\x28", b"x"), "is not a tar archive"),
        (b'{"json": "but no tar"}' + bytes(2000), "is not a tar archive"),
        (END, "holds no image"),
        (make_tar({"readme": b"x"}), "holds no image"),
        (b"\xfd7zXZ\x00" + bytes(100), "packed with xz"),
        (b"BZh9" + bytes(100), "packed with bzip2"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(b"no tar" * 200), "is not a tar archive"),
        (b"\x1f\x8b" + bytes(600), "damaged"),
        (zstd(b""), "is empty"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "damaged|empty|cut off"),
    ],
)
async def test_what_is_no_archive(tmp_path: Path, data: bytes, why: str) -> None:
    """A file that is empty, something else or packed in another way is named with the reason."""
    with pytest.raises(ArchiveInvalid, match=why) as caught:
        await read_all(as_file(tmp_path, data))
    assert "archive.bin" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["tar", "gzip", "zstd"])
@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
async def test_cuts_at_a_hundred_places(
    tmp_path: Path, app: Sample, pack: Callable[[bytes], bytes], docker: bool
) -> None:
    """An archive cut off anywhere is refused when it is opened, before a byte is sent anywhere."""
    tar = make_tar(docker_files(app)) if docker else app.oci
    whole = pack(tar.rstrip(b"\0") + END)
    for number in range(100):
        cut = len(whole) * number // 100
        with pytest.raises(ArchiveInvalid):
            async with as_file(tmp_path, whole[:cut]):
                pytest.fail(f"cut at {cut} of {len(whole)} was not seen")


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
async def test_the_last_bytes_count(tmp_path: Path, app: Sample, pack: Callable[[bytes], bytes]) -> None:
    """The checksum at the end of a packed archive is part of it."""
    whole = pack(app.oci)
    for missing in range(1, 9):
        with pytest.raises(ArchiveInvalid):
            await read_all(as_file(tmp_path, whole[:-missing]))


@pytest.mark.parametrize("form", FORMS)
async def test_flipped_bytes(tmp_path: Path, app: Sample, form: str) -> None:
    """A damaged archive is refused, or damage where it does no harm leaves the image whole."""
    for at in range(100, len(app.oci), len(app.oci) // 60):
        data = bytearray(app.oci)
        data[at] ^= 0x55
        source = FORMS[form](tmp_path, bytes(data))
        with contextlib.suppress(ArchiveInvalid, DigestMismatch, ManifestInvalid):
            async with source:
                image = await source.image(None, AMD)
                assert image.digest == app.digest
                for layer in image.manifest.layers:
                    assert digests.of(await collect(source.open(layer))) == layer.digest


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
async def test_damage_of_the_packing(tmp_path: Path, app: Sample, pack: Callable[[bytes], bytes]) -> None:
    """A byte flipped in a packed archive never gets through."""
    whole = pack(app.oci)
    for at in range(10, len(whole), max(len(whole) // 40, 1)):
        data = bytearray(whole)
        data[at] ^= 0xFF
        with pytest.raises(LimaniError):
            await read_all(as_file(tmp_path, bytes(data)))


# --- the tar -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        entry("../../etc/passwd"),
        entry("blobs/../../x"),
        entry("a/../b"),
        entry("/etc/passwd"),
        entry("link", tarfile.SYMTYPE, "/etc/passwd"),
        entry("link", tarfile.SYMTYPE, "../../etc/passwd"),
        entry("a/link", tarfile.SYMTYPE, "../../x"),
        entry("link", tarfile.LNKTYPE, "../x"),
        entry("link", tarfile.LNKTYPE, "/etc/shadow"),
        entry("x" * 120 + "/../../../y"),
    ],
)
@pytest.mark.parametrize("form", ["tar", "gzip"])
async def test_entries_that_lead_out(tmp_path: Path, app: Sample, form: str, header: bytes) -> None:
    """Names and links that leave the archive make all of it suspicious."""
    with pytest.raises(ArchiveInvalid, match="leads out of the archive") as caught:
        await read_all(FORMS[form](tmp_path, header + app.oci))
    assert caught.value.fields["member"]


async def test_extended_names_are_looked_at_too(tmp_path: Path, app: Sample) -> None:
    """A name hidden in an extended header is refused like any other."""
    for make in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        info = tarfile.TarInfo("../" * 40 + "etc/passwd")
        with pytest.raises(ArchiveInvalid, match="leads out"):
            await read_all(as_file(tmp_path, info.tobuf(make) + app.oci))


@pytest.mark.parametrize("form", ["tar", "gzip"])
async def test_two_entries_of_one_name(tmp_path: Path, app: Sample, form: str) -> None:
    """Of two files of one name it cannot be known which is meant."""
    body = app.files["index.json"]
    double = entry("./index.json", size=len(body)) + body + bytes(-len(body) % 512)
    with pytest.raises(ArchiveInvalid, match=r"two entries 'index\.json'"):
        await read_all(FORMS[form](tmp_path, double + app.oci))


async def test_a_hundred_thousand_entries(tmp_path: Path, app: Sample) -> None:
    """Too many entries are refused at the limit, without reading on."""
    first = [entry(f"f{number}") for number in range(10_001)]
    data = b"".join(first + first[-1:] * 90_000) + app.oci

    class Kept(io.BytesIO):
        def close(self) -> None:
            """Stay readable for the test."""

    pipe = Kept(data)
    for source in (as_file(tmp_path, data), ArchiveSource(opener=lambda: pipe)):
        with pytest.raises(LimitExceeded, match="more than 10000 entries"):
            await read_all(source)
    assert pipe.tell() <= 10_002 * 512


async def test_headers_without_entries(tmp_path: Path) -> None:
    """Extended headers count as well, so they cannot go on for ever."""
    data = entry("x", tarfile.XGLTYPE) * 40_000 + END
    with pytest.raises(LimitExceeded):
        await read_all(as_file(tmp_path, data))
    with pytest.raises(LimitExceeded, match="extended header"):
        await read_all(as_file(tmp_path, entry("x", tarfile.XHDTYPE, size=10 << 20) + bytes(10 << 20) + END))


async def test_impossible_sizes(tmp_path: Path, app: Sample) -> None:
    """Negative and enormous sizes, also in extended headers, are refused."""

    def forged(field: bytes) -> bytes:
        block = bytearray(entry("x"))
        block[124:136] = field
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block)

    negative = b"\xff" * 12
    enormous = b"\x80" + b"\x7f" * 11
    for field in (negative, enormous, b"77777777777\0"):
        for form in ("tar", "gzip"):
            with pytest.raises(ArchiveInvalid):
                await read_all(FORMS[form](tmp_path, forged(field) + app.oci))
    for value in ("-1", "x", "9" * 30, "1.5"):
        record = f" size={value}\n".encode()
        record = str(len(record) + 2).encode() + record
        header = entry("x", tarfile.XHDTYPE, size=len(record)) + record + bytes(-len(record) % 512)
        with pytest.raises(ArchiveInvalid):
            await read_all(as_file(tmp_path, header + entry("x") + app.oci))


async def test_links_in_circles(tmp_path: Path) -> None:
    """Links that never reach a file end in an error."""
    tar = make_tar({}, {"manifest.json": "b", "b": "manifest.json"})
    with pytest.raises(ArchiveInvalid, match="never end"):
        await read_all(as_file(tmp_path, tar))


async def test_sparse_files(tmp_path: Path, app: Sample) -> None:
    """GNU sparse files, whose size is not what it seems, are refused."""
    with pytest.raises(ArchiveInvalid, match="sparse"):
        await read_all(as_file(tmp_path, entry("x", tarfile.GNUTYPE_SPARSE) + app.oci))


@given(st.binary(max_size=3000) | st.binary(max_size=2000).map(lambda data: entry("index.json") + data))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
async def test_arbitrary_bytes(tmp_path: Path, data: bytes) -> None:
    """Arbitrary bytes give a LimaniError, packed or not."""
    for packed in (data, gzip.compress(data), zstd(data), b"\x28\xb5\x2f\xfd" + data, b"\x1f\x8b" + data):
        with pytest.raises(LimaniError):
            await read_all(as_file(tmp_path, packed))


# --- what it unpacks to --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
async def test_bombs(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """An archive that unpacks to far more than it is, or to more than allowed, is refused with the number."""
    path = tmp_path / "bomb"
    path.write_bytes(pack(entry("index.json", size=50 << 20) + bytes(50 << 20) + END))
    for limits, number in ((Limits(ratio_from=10 << 20), "200 times"), (Limits(unpacked=20 << 20), "20971520 bytes")):
        with pytest.raises(LimitExceeded, match=number):
            await read_all(ArchiveSource(path, limits=limits))


async def test_zstd_wants_too_much_memory(tmp_path: Path, app: Sample) -> None:
    """A stream that asks for a window of two GiB does not get it."""
    parameters = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(ArchiveInvalid, match="damaged"):
        await read_all(as_file(tmp_path, packer.compress(app.oci) + packer.flush()))


# --- what it says --------------------------------------------------------------------------------------------------


def changed_index(app: Sample, change: Callable[[dict[str, Any]], None]) -> Files:
    files = app.files
    index = json.loads(files["index.json"])
    change(index["manifests"][0])
    files["index.json"] = json.dumps(index).encode()
    return files


def oci_cases(app: Sample) -> dict[str, tuple[Files, type[LimaniError], str]]:
    """Damaged OCI archives by what is wrong with them."""
    files = app.files
    manifest = f"blobs/sha256/{app.digest[7:]}"
    config = f"blobs/sha256/{app.config_digest[7:]}"
    layer = f"blobs/sha256/{app.layers[0].descriptor.digest[7:]}"
    without = lambda name: {n: d for n, d in files.items() if n != name}  # noqa: E731
    nested = json.dumps({"schemaVersion": 2, "manifests": [index_entry(b"{}")]}).encode()
    names: Callable[[str], dict[str, str]] = lambda text: {"io.containerd.image.name": text}  # noqa: E731
    return {
        "index is not JSON": ({**files, "index.json": b"{nope"}, ArchiveInvalid, "index.json"),
        "index is of a wrong kind": ({**files, "index.json": b"[1, 2]"}, ArchiveInvalid, "index.json"),
        "index is text": ({**files, "index.json": b"hello"}, ArchiveInvalid, "index.json"),
        "index is empty": ({**files, "index.json": b""}, ArchiveInvalid, "index.json"),
        "index names nothing": (
            {**files, "index.json": b'{"schemaVersion":2,"manifests":[]}'},
            ImageNotFound,
            "holds no image",
        ),
        "index is too large": ({**files, "index.json": b"[" + b" " * MAX_DOCUMENT}, LimitExceeded, "index.json"),
        "manifest is missing": (without(manifest), ArchiveInvalid, manifest),
        "configuration is missing": (without(config), ArchiveInvalid, config),
        "layer is missing": (without(layer), ArchiveInvalid, layer),
        "manifest is another": (
            {**files, manifest: files[manifest].replace(b'"size":', b'"siZe":')},
            DigestMismatch,
            manifest,
        ),
        "configuration is another": ({**files, config: files[config].upper()}, DigestMismatch, config),
        "layer is another": ({**files, layer: files[layer][:-1] + b"x"}, DigestMismatch, layer),
        "layer is shorter": ({**files, layer: files[layer][:-1]}, ArchiveInvalid, layer),
        "size is wrong": (changed_index(app, lambda d: d.update(size=5)), ArchiveInvalid, manifest),
        "size is negative": (changed_index(app, lambda d: d.update(size=-5)), ArchiveInvalid, "negative"),
        "digest is wrong": (changed_index(app, lambda d: d.update(digest="sha256:x")), ArchiveInvalid, "digest"),
        "digest leads out": (
            changed_index(app, lambda d: d.update(digest="sha256:../../../etc/passwd")),
            ArchiveInvalid,
            "digest",
        ),
        "kind is wrong": (
            changed_index(app, lambda d: d.update(mediaType=media.OCI_INDEX)),
            ManifestInvalid,
            "as index.json says",
        ),
        "name does not parse": (
            changed_index(app, lambda d: d.update(annotations=names("Not A Name"))),
            ArchiveInvalid,
            "Not A Name",
        ),
        "name has a command": (
            changed_index(app, lambda d: d.update(annotations=names("x;$(reboot)"))),
            ArchiveInvalid,
            "reboot",
        ),
        "indexes are nested": (
            {
                **files,
                "index.json": json.dumps({"schemaVersion": 2, "manifests": [index_entry(nested)]}).encode(),
                f"blobs/sha256/{digests.of(nested)[7:]}": nested,
            },
            LimitExceeded,
            "nests image indexes",
        ),
    }


def index_entry(raw: bytes) -> dict[str, Any]:
    return {"mediaType": media.OCI_INDEX, "digest": digests.of(raw), "size": len(raw)}


OCI_CASES = [
    "index is not JSON",
    "index is of a wrong kind",
    "index is text",
    "index is empty",
    "index names nothing",
    "index is too large",
    "manifest is missing",
    "configuration is missing",
    "layer is missing",
    "manifest is another",
    "configuration is another",
    "layer is another",
    "layer is shorter",
    "size is wrong",
    "size is negative",
    "digest is wrong",
    "digest leads out",
    "kind is wrong",
    "name does not parse",
    "name has a command",
    "indexes are nested",
]


@pytest.mark.parametrize("form", ["tar", "gzip", "folder"])
@pytest.mark.parametrize("case", OCI_CASES)
async def test_damaged_oci_archives(tmp_path: Path, app: Sample, case: str, form: str) -> None:
    """Each contradiction inside an OCI archive is found and named."""
    files, error, text = oci_cases(app)[case]
    tar = make_tar(files)
    source = ArchiveSource(in_folder(tmp_path, tar)) if form == "folder" else FORMS[form](tmp_path, tar)
    with pytest.raises(error) as caught:
        await read_all(source)
    assert text in caught.value.message
    assert str(tmp_path) in caught.value.message or error is LimitExceeded


def test_every_oci_case_is_tested(app: Sample) -> None:
    """The list of names above is complete."""
    assert list(oci_cases(app)) == OCI_CASES


@pytest.mark.parametrize(
    ("manifest", "error", "text"),
    [
        (b"{nope", ArchiveInvalid, "manifest.json"),
        (b'{"Config": "x"}', ArchiveInvalid, "manifest.json"),
        (b'[{"Config": 1, "Layers": []}]', ArchiveInvalid, "manifest.json"),
        (b'[{"Config": "c.json", "Layers": "x"}]', ArchiveInvalid, "manifest.json"),
        (b'[{"Layers": []}]', ArchiveInvalid, "manifest.json"),
        (b"[" * 100_000, ArchiveInvalid, "manifest.json"),
        (b"[" + b" " * MAX_DOCUMENT, LimitExceeded, "manifest.json"),
        (b"[]", ImageNotFound, "holds no image"),
        (b'[{"Config": "nowhere.json", "Layers": []}]', ArchiveInvalid, "nowhere.json"),
        (b'[{"Config": "../../../../etc/passwd", "Layers": []}]', ArchiveInvalid, "etc/passwd"),
        (b'[{"Config": "/etc/passwd", "Layers": []}]', ArchiveInvalid, "etc/passwd"),
        (b'[{"Config": "repositories", "Layers": []}]', ManifestInvalid, "repositories"),
        (b'[{"Config": "CONFIG", "Layers": []}]', ArchiveInvalid, "0 layers"),
        (b'[{"Config": "CONFIG", "Layers": ["a", "b", "c"]}]', ArchiveInvalid, "3 layers"),
        (b'[{"Config": "CONFIG", "Layers": ["a", "b"]}]', ArchiveInvalid, "'a'"),
        (b'[{"Config": "CONFIG", "Layers": [], "RepoTags": ["Bad Name"]}]', ArchiveInvalid, "Bad Name"),
        (b'[{"Config": "CONFIG", "Layers": [], "RepoTags": [3]}]', ArchiveInvalid, "manifest.json"),
    ],
)
@pytest.mark.parametrize("form", ["tar", "gzip"])
async def test_damaged_docker_archives(
    tmp_path: Path, app: Sample, form: str, manifest: bytes, error: type[LimaniError], text: str
) -> None:
    """Each contradiction inside a docker-archive is found and named."""
    files = docker_files(app)
    files["manifest.json"] = manifest.replace(b"CONFIG", app.config_digest[7:].encode() + b".json")
    with pytest.raises(error) as caught:
        await read_all(FORMS[form](tmp_path, make_tar(files)))
    assert text in caught.value.message


@pytest.mark.parametrize("form", ["tar", "gzip", "stream"])
async def test_layer_of_a_docker_archive_that_is_another(tmp_path: Path, app: Sample, form: str) -> None:
    """A layer that is not what the configuration's diffID says is refused when it was read."""
    files = docker_files(app)
    name = f"{0:064x}/layer.tar"
    files[name] = files[name][:-600] + b"x" + files[name][-599:]
    with pytest.raises(DigestMismatch, match=name):
        await read_all(FORMS[form](tmp_path, make_tar(files)))


async def test_folder_with_links_out(tmp_path: Path, app: Sample) -> None:
    """In a folder, a blob that is a link to elsewhere is not read."""
    layout = in_folder(tmp_path / "layout", app.oci)
    blob = layout / f"blobs/sha256/{app.config_digest[7:]}"
    blob.rename(tmp_path / "outside")
    blob.symlink_to(tmp_path / "outside")
    with pytest.raises(ArchiveInvalid, match="leads out"):
        await read_all(ArchiveSource(layout))
    with pytest.raises(ArchiveInvalid, match="holds no image"):
        await read_all(ArchiveSource(tmp_path / "layout" / "blobs"))


async def test_stream_that_changes(app: Sample) -> None:
    """An export that is different the second time is noticed."""
    exports = iter([app.oci, make_tar({"index.json": b"{}"}), make_tar({"index.json": b"{}"})])
    source = ArchiveSource(opener=lambda: Pipe(next(exports)))
    with pytest.raises(ArchiveInvalid, match="lacks"):
        await read_all(source)


async def test_documents_of_a_stream_are_limited(app: Sample) -> None:
    """JSON in a stream is kept in memory, so there is a limit to all of it."""
    files = {f"{number}.json": b"[" + b" " * 1000 + b"]" for number in range(30)}
    source = ArchiveSource(opener=lambda: io.BytesIO(make_tar({**files, **app.files})), limits=Limits(documents=20_000))
    with pytest.raises(LimitExceeded, match="20000 bytes"):
        await read_all(source)
