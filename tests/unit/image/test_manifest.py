"""limani.image.manifest."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani.errors import LimaniError, LimitExceeded, ManifestInvalid, PlatformMissing, Unsupported
from limani.image import digest as digests
from limani.image import media
from limani.image.manifest import (
    MAX_DOCUMENT,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    chain_ids,
    image_documents,
    parse_document,
)

D = [digests.of(bytes([i])) for i in range(9)]


def raw(data: Any) -> bytes:
    return json.dumps(data).encode()


def entry(digest: str = D[0], size: int = 3, kind: str = media.OCI_LAYER, **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size, **more}


def config_raw(diff_ids: list[str], **more: Any) -> bytes:
    return raw({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}, **more})


def manifest_raw(config: bytes, layers: list[dict[str, Any]], **more: Any) -> bytes:
    target = entry(digests.of(config), len(config), media.OCI_CONFIG)
    return raw({"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "config": target, "layers": layers, **more})


def index_raw(*entries: dict[str, Any], **more: Any) -> bytes:
    return raw({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": list(entries), **more})


def variant(platform: str, digest: str = D[1], **more: Any) -> dict[str, Any]:
    words = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
    return entry(digest, 9, media.OCI_MANIFEST, platform=words, **more)


def test_manifest_and_config_keep_their_bytes() -> None:
    """Documents are identified by the bytes they came as, unknown properties included."""
    config = config_raw([D[1]], created="2026-01-02T03:04:05Z", future={"x": 1})
    document = manifest_raw(config, [entry(D[1], 7, annotations={"a": "b"}, urls=["u"])], future=[1])
    manifest = Manifest.parse(document)
    assert manifest.raw == document
    assert manifest.digest == digests.of(document)
    assert manifest.layers == (Descriptor(media.OCI_LAYER, D[1], 7, None, {"a": "b"}, ("u",)),)
    parsed = ImageConfig.parse(config)
    assert (parsed.digest, parsed.diff_ids) == (manifest.config.digest, (D[1],))
    assert (str(parsed.platform), parsed.created) == ("linux/amd64", "2026-01-02T03:04:05Z")


def test_chain_ids() -> None:
    """ChainIDs follow the recursion of the specification."""
    first, second = D[0], digests.of(f"{D[0]} {D[1]}".encode())
    assert chain_ids([]) == ()
    assert chain_ids(D[:3]) == (first, second, digests.of(f"{second} {D[2]}".encode()))


def test_select_picks_the_best_variant_and_ignores_attestations() -> None:
    """Of an index the entry that runs best is chosen; statements about images are no images."""
    index = Index.parse(
        index_raw(
            variant("unknown/unknown", D[0], annotations={"vnd.docker.reference.type": "attestation-manifest"}),
            variant("linux/arm/v6", D[1]),
            variant("linux/arm/v7", D[2]),
            variant("linux/amd64", D[3]),
        )
    )
    assert index.select(Platform.parse("linux/arm/v7")).digest == D[2]
    assert index.select(Platform.parse("linux/arm/v6")).digest == D[1]
    assert index.select(Platform.parse("linux/amd64")).digest == D[3]
    with pytest.raises(PlatformMissing) as caught:
        index.select(Platform.parse("linux/s390x"))
    assert caught.value.fields["found"] == ["linux/amd64", "linux/arm", "linux/arm/v6"]


def test_select_takes_a_single_entry_without_platform() -> None:
    """An index whose only image names no platform gives that image."""
    index = Index.parse(index_raw(entry(D[4], 9, media.DOCKER_MANIFEST)))
    assert index.select(Platform.parse("linux/amd64")).digest == D[4]


def test_image_documents_link_up() -> None:
    """Index, manifest and configuration are taken when each names the next."""
    config = config_raw([D[1]])
    manifest = manifest_raw(config, [entry(D[1], 7)])
    index = index_raw(entry(digests.of(manifest), len(manifest), media.OCI_MANIFEST))
    documents = [(media.OCI_INDEX, index), (media.OCI_MANIFEST, manifest), (media.OCI_CONFIG, config)]
    found = image_documents(documents)
    assert found[0] is not None
    assert [part.raw for part in found if part] == [index, manifest, config]
    assert image_documents(documents[1:])[0] is None


@pytest.mark.parametrize("broken", ["config", "manifest", "media type", "count", "layer kind", "diffID", "size", "one"])
def test_image_documents_that_do_not_link_up(broken: str) -> None:
    """Each way documents can contradict each other is found."""
    diff_ids = [D[1]] if broken != "count" else [D[1], D[2]]
    config = config_raw(diff_ids if broken != "diffID" else [D[2]])
    kind = media.OCI_LAYER if broken != "layer kind" else "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    manifest = manifest_raw(config, [entry(D[1], 7, kind)])
    size = len(manifest) + (1 if broken == "size" else 0)
    index = index_raw(entry(digests.of(manifest) if broken != "manifest" else D[5], size, media.OCI_MANIFEST))
    media_type = media.DOCKER_INDEX if broken == "media type" else media.OCI_INDEX
    sent = config if broken != "config" else config + b" "
    documents = [(media_type, index), (media.OCI_MANIFEST, manifest), (media.OCI_CONFIG, sent)]
    with pytest.raises(ManifestInvalid):
        image_documents(documents[:1] if broken == "one" else documents)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"schemaVersion":2',
        b"[" * 200_000,
        raw({"schemaVersion": 1, "config": entry(), "layers": []}),
        raw({"schemaVersion": 2, "config": entry(), "layers": {}}),
        raw({"schemaVersion": 2, "config": entry(size=-1), "layers": []}),
        raw({"schemaVersion": 2, "config": entry(size=1.5), "layers": []}),
        raw({"schemaVersion": 2, "config": entry(digest="md5:1"), "layers": []}),
        raw({"schemaVersion": 2, "config": entry(), "layers": [{"digest": D[0]}]}),
        raw({"schemaVersion": 2, "mediaType": "text/html", "config": entry(), "layers": []}),
    ],
)
def test_wrong_manifests_are_refused(document: bytes) -> None:
    """A document that is not a manifest or an index, or is both, is refused."""
    with pytest.raises(ManifestInvalid):
        parse_document(document)


@pytest.mark.parametrize(
    "document", [{"config": entry(), "layers": [], "manifests": []}, {"manifests": [], "layers": []}]
)
def test_documents_of_two_kinds_are_refused(document: dict[str, Any]) -> None:
    """A document that is an index and a manifest at once is refused, however it is read (CVE-2021-41190)."""
    for parse in (parse_document, Index.parse if "config" not in document else Manifest.parse):
        with pytest.raises(ManifestInvalid, match="at once"):
            parse(raw({"schemaVersion": 2, **document}))
    with_type = {"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "config": entry(), "layers": [], "manifests": []}
    with pytest.raises(ManifestInvalid, match="at once"):
        parse_document(raw(with_type))


def test_kind_is_told_by_media_type_or_content() -> None:
    """With a mediaType that decides; OCI documents without one are told apart by their properties."""
    assert isinstance(parse_document(index_raw(variant("linux/amd64"))), Index)
    assert isinstance(parse_document(raw({"schemaVersion": 2, "manifests": []})), Index)
    assert isinstance(parse_document(manifest_raw(b"", [])), Manifest)
    assert isinstance(parse_document(raw({"schemaVersion": 2, "config": entry(), "layers": []})), Manifest)


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b'{"rootfs":{"diff_ids":["x"]}}',
        b'{"rootfs":{"diff_ids":"x"}}',
        b'{"rootfs":{"type":"tree","diff_ids":[]}}',
        b'{"rootfs":{"diff_ids":[]},"os":1}',
    ],
)
def test_wrong_configurations_are_refused(document: bytes) -> None:
    """A configuration without proper diff_ids is refused."""
    with pytest.raises(ManifestInvalid):
        ImageConfig.parse(document)


def test_documents_have_a_largest_size() -> None:
    """Four MiB pass, one byte more does not."""
    document = manifest_raw(b"", [])
    padded = document + b" " * (MAX_DOCUMENT - len(document))
    assert Manifest.parse(padded).config.size == 0
    with pytest.raises(LimitExceeded):
        Manifest.parse(padded + b" ")


def test_layer_types() -> None:
    """The compression of a layer follows from its media type; what is no layer is refused."""
    assert media.layer_compression(media.OCI_LAYER) == ""
    assert media.layer_compression(media.layer_type("zstd")) == "zstd"
    assert media.layer_compression("application/vnd.docker.image.rootfs.diff.tar.gzip") == "gzip"
    with pytest.raises(ManifestInvalid):
        media.layer_compression("application/vnd.in-toto+json")
    with pytest.raises(Unsupported):
        media.layer_compression("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")


_keys = st.text() | st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size", "rootfs", "diff_ids", "platform"]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*D, media.OCI_MANIFEST]),
    lambda children: st.lists(children) | st.dictionaries(_keys, children),
    max_leaves=20,
)


@given(st.binary() | _json.map(raw))
def test_parsers_raise_nothing_else(document: bytes) -> None:
    """Arbitrary bytes and arbitrary JSON give a document or a LimaniError."""
    for parse in (parse_document, Index.parse, Manifest.parse, ImageConfig.parse):
        with contextlib.suppress(LimaniError):
            assert parse(document).raw == document


@given(
    st.sampled_from([media.OCI_LAYER, media.DOCKER_LAYER]),
    st.sampled_from(D),
    st.integers(0, 2**62),
    st.none() | st.sampled_from(["linux/amd64", "linux/arm/v6"]),
    st.dictionaries(st.text(), st.text()),
    st.lists(st.text()),
)
def test_descriptor_round_trip(
    kind: str, digest: str, size: int, platform: str | None, annotations: dict[str, str], urls: list[str]
) -> None:
    """A descriptor written as JSON reads back equal."""
    where = Platform.parse(platform) if platform else None
    descriptor = Descriptor(kind, digest, size, where, annotations, tuple(urls))
    assert Manifest.parse(manifest_raw(b"", [descriptor.to_json()])).layers == (descriptor,)
