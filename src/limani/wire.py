"""The documents of the agent's own API, ``/limani/v1`` (JSON; events as one JSON object per line).

Both ends use these classes: the agent decodes requests strictly and encodes answers; ``limani.fleet`` does the
reverse. ``bytes`` travel as base64. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

PROTOCOL = 1
"""What the agent speaks; a client refuses an agent whose number differs."""

AUDIENCE = "limani"
NAMESPACE = "limani-system"
AGENT_LABEL = "app.kubernetes.io/name=limani-agent"
PORT = 7443
TOKEN_HEADER = "X-Limani-Authorization"  # noqa: S105 - a header's name
GRANT_HEADER = "X-Limani-Grant"
BLOB_REPOSITORY = "limani/blobs"
"""Repository under which blobs are exchanged over ``/v2/``; they belong to the node, not to a repository."""


class Document(msgspec.Struct, frozen=True):
    """One small JSON document of an image, byte for byte: an index, a manifest or a configuration."""

    media_type: str
    data: bytes


class ImageSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image to be put on a node.

    ``documents``: the target first (an index or the manifest itself), then the manifest of the node's platform, then
    its configuration. The digest of the first document is the digest the image will have on the node.
    """

    reference: str
    documents: tuple[Document, ...]
    pin: bool = False


class Blob(msgspec.Struct, frozen=True):
    """A blob by content."""

    digest: str
    size: int
    media_type: str = "application/octet-stream"
    here: int = 0  # in a plan: bytes an earlier run has left on the node, which need not travel again


class Disk(msgspec.Struct, frozen=True):
    """A file system the images of a node live on."""

    path: str
    total: int
    free: int


class EngineStatus(msgspec.Struct, frozen=True):
    """One container runtime of the node."""

    name: Literal["containerd", "docker"]
    version: str
    ok: bool
    pin: bool  # whether pinning has an effect
    error: str = ""


class Status(msgspec.Struct, frozen=True):
    """What an agent says of itself. ``fingerprint``: sha256 (hex) of its TLS certificate in DER."""

    protocol: int
    version: str
    node: str
    platform: str
    engine: EngineStatus
    disks: tuple[Disk, ...]
    peer_url: str
    fingerprint: str
    engines: tuple[EngineStatus, ...] = ()
    """Every runtime this agent speaks to, the node's own (``engine``) first."""


class StoredImage(msgspec.Struct, frozen=True):
    """An image a node holds. ``digest``: of the target (index or manifest), empty where the engine has none."""

    digest: str
    config_digest: str
    references: tuple[str, ...]
    size: int
    platform: str = ""
    created: str = ""  # RFC 3339, of the image's configuration
    stored: str = ""  # RFC 3339, when it came onto the node
    pinned: bool = False
    used_by: tuple[str, ...] = ()  # containers that use it, as the engine names them


class Inventory(msgspec.Struct, frozen=True):
    """All images of a node's engine."""

    images: tuple[StoredImage, ...]


class PlanRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask what a node lacks. ``grant``: also issue a grant for every blob of these images."""

    images: tuple[ImageSpec, ...]
    grant: bool = False
    engine: str = ""  # empty: the node's own


class ImagePlan(msgspec.Struct, frozen=True):
    """What a node lacks of one image. ``found``: digest the name has there now ("" if none)."""

    reference: str
    state: Literal["present", "absent", "differs"]
    missing: tuple[Blob, ...]
    held: tuple[str, ...]  # blobs the node could serve to others
    found: str = ""
    pinned: bool = False


class Grant(msgspec.Struct, frozen=True):
    """The right to fetch certain blobs from one agent for ``expires_s`` seconds."""

    token: str
    expires_s: int


class Peer(msgspec.Struct, frozen=True):
    """Another agent blobs can be fetched from.

    ``only``: the digests it holds; it shall be asked for no others. Empty: it takes part in the same run and will
    hold everything in time.
    """

    node: str
    url: str
    fingerprint: str
    grant: str
    only: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """Answer to a PlanRequest. ``needed``: disk bytes the missing blobs will take, unpacked layers included.

    ``peer``: this agent as others may fetch from it, if a grant was asked for.
    """

    images: tuple[ImagePlan, ...]
    needed: int
    disks: tuple[Disk, ...]
    peer: Peer | None = None


class SeedRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Put images onto this node. Missing blobs come from ``peers`` in order, at last by upload (a ``Want`` event).

    The answer is a stream of events; the work belongs to the connection: when the caller goes away, leases and
    ingests are dropped and only the spool keeps what has arrived.
    """

    images: tuple[ImageSpec, ...]
    peers: tuple[Peer, ...] = ()
    rate: int = 0  # bytes per second, 0: no limit
    engine: str = ""
    run: str = ""  # names the caller's run: what came in an earlier stream of it counts as moved in this one


class RemoveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Remove names from the node; an image whose last name goes is deleted with its content."""

    references: tuple[str, ...]
    force: bool = False
    engine: str = ""


class Removed(msgspec.Struct, frozen=True):
    """Result of removing one reference; ``error`` is a LimaniError's dictionary or empty."""

    reference: str
    changed: bool
    error: dict[str, Any] = {}


class RemoveAnswer(msgspec.Struct, frozen=True):
    """Results in the order asked."""

    results: tuple[Removed, ...]


class PinRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Protect images from the kubelet's garbage collection, or stop doing so."""

    references: tuple[str, ...]
    pinned: bool
    engine: str = ""


# --- events of a seed stream, one JSON object per line ------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, tag_field="event"):
    """Base of all events."""


class Beat(Event, frozen=True, tag="beat"):
    """Nothing new, still alive (every 3 s of silence)."""


class Want(Event, frozen=True, tag="want"):
    """The caller shall upload this blob from ``offset`` on; nobody else is doing so."""

    digest: str
    size: int
    offset: int


class Progress(Event, frozen=True, tag="progress"):
    """Bytes of a blob that have arrived so far (at most a few events a second)."""

    digest: str
    received: int
    size: int
    source: str  # node name, "upload"


class BlobDone(Event, frozen=True, tag="blob"):
    """A blob has been verified and given to the engine. ``moved``: bytes that crossed the network in the whole run."""

    digest: str
    moved: int
    source: str  # node name, "upload", "spool" (had arrived before), "store" (another run brought it)


class ImageDone(Event, frozen=True, tag="image"):
    """An image has its name on the node and can be started."""

    reference: str
    changed: bool
    digest: str
    config_digest: str
    pinned: bool


class Failed(Event, frozen=True, tag="failed"):
    """The run failed; ``error`` is a LimaniError's dictionary. Last event."""

    error: dict[str, Any]


class Finished(Event, frozen=True, tag="finished"):
    """All images are there. Last event."""

    moved: int
    seconds: float


AnyEvent = Beat | Want | Progress | BlobDone | ImageDone | Failed | Finished
