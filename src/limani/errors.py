"""The one family of errors.

Every error says what went wrong, where and why (``message``) and what to do next (``hint``); ``code`` is stable and
meant for programs; ``status`` is the HTTP status an agent answers with. Libraries raise these; only the outermost
shell (command, module, HTTP middleware) renders them.
"""

from __future__ import annotations

from typing import Any, ClassVar


class LimaniError(Exception):
    """Root of all errors raised on purpose.

    ``message``: one or two sentences, what/where/why. ``hint``: what to do next (falls back to the class's).
    ``fields``: machine-readable facts (JSON types only: node, digest, path, expected, found, needed_bytes, ...).
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    default_hint: ClassVar[str] = "This is a bug in Limani; please report it with the full output."

    def __init__(self, message: str, *, hint: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.fields = fields

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: ``{"code", "message", "hint", "fields"}``."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "fields": self.fields}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> LimaniError:
        """Rebuild the error another process sent; an unknown code keeps its texts under ``RemoteError``."""
        cls = by_code().get(str(data.get("code")), RemoteError)
        error = cls(str(data.get("message", "")), hint=data.get("hint"), **dict(data.get("fields") or {}))
        if cls is RemoteError:
            error.fields.setdefault("remote_code", data.get("code"))
        return error


def by_code() -> dict[str, type[LimaniError]]:
    """Every error class by its code (codes are unique; a test holds that)."""
    found: dict[str, type[LimaniError]] = {}
    todo: list[type[LimaniError]] = [LimaniError]
    while todo:
        cls = todo.pop()
        found.setdefault(cls.code, cls)
        todo.extend(cls.__subclasses__())
    return found


class RemoteError(LimaniError):
    """An error another version of Limani sent whose code this version does not know."""

    code, status = "remote_error", 502
    default_hint = "Bring client and agent to the same version of Limani."


# --- what the user gave is not right -------------------------------------------------------------------------------


class BadInput(LimaniError):
    """Refused before anything changed."""

    code, status = "bad_input", 400
    default_hint = "Correct the value named above and run again; nothing was changed."


class ReferenceInvalid(BadInput):
    """An image reference does not follow the grammar of distribution's reference specification."""

    code = "reference_invalid"
    default_hint = "Write [registry/]repository[:tag][@sha256:...], for example docker.io/library/nginx:1.27."


class DigestInvalid(BadInput):
    """A digest is not ``sha256:`` and 64 hexadecimal digits."""

    code = "digest_invalid"
    default_hint = "A digest is written sha256: followed by 64 lowercase hexadecimal digits."


class ArchiveInvalid(BadInput):
    """A file is not a readable docker-archive, OCI archive or OCI layout."""

    code = "archive_invalid"
    default_hint = "Make the archive again (docker save -o FILE IMAGE) and compare its size with the copy here."


class ManifestInvalid(BadInput):
    """A manifest, index or image configuration is not what the OCI image specification says."""

    code = "manifest_invalid"
    default_hint = "Rebuild or pull the image again; its manifest or configuration is damaged or of an unknown kind."


class PlatformMissing(BadInput):
    """The image has no variant for the platform asked for."""

    code, status = "platform_missing", 404
    default_hint = "Build or pull the image for this platform, or leave out the nodes of this platform."


class ImageNotFound(LimaniError):
    """The image is not where it was looked for."""

    code, status = "image_not_found", 404
    default_hint = "Check the name (limani images lists what nodes hold; an archive's names are in the message)."


class BlobUnknown(LimaniError):
    """A blob is not in the store that was asked."""

    code, status = "blob_unknown", 404
    default_hint = "Send the blob first, or ask a node that holds it."


class UploadUnknown(LimaniError):
    """An upload session does not exist (any more)."""

    code, status = "upload_unknown", 404
    default_hint = "Start the upload again; what had arrived is kept and will not be sent twice."


class RangeInvalid(LimaniError):
    """A chunk or a range does not start where the other side stands."""

    code, status = "range_invalid", 416
    default_hint = "Ask for the upload's status and go on from the offset it names."


class DigestMismatch(LimaniError):
    """Bytes do not have the digest they were announced with; they were thrown away."""

    code, status = "digest_mismatch", 400
    default_hint = "The source, or the way from it, damages data. Check the archive (sha256sum), then run again."


class LimitExceeded(BadInput):
    """Something is larger than a safe limit (entries of an archive, size of a manifest, unpacked size)."""

    code, status = "limit_exceeded", 413
    default_hint = "If the image is really meant to be like that, raise the limit named above; else do not trust it."


# --- who is asking -------------------------------------------------------------------------------------------------


class Unauthenticated(LimaniError):
    """No token, or one that is not valid for this agent."""

    code, status = "unauthenticated", 401
    default_hint = "Send a token with audience 'limani' in X-Limani-Authorization (limani does so by itself)."


class Forbidden(LimaniError):
    """The caller is known and may not do this."""

    code, status = "forbidden", 403
    default_hint = "Ask the cluster's administrator for the permission named above (API group limani.dev)."


class VersionSkew(LimaniError):
    """Client and agent do not speak the same protocol version."""

    code, status = "version_skew", 426
    default_hint = "Upgrade the older side: pip install -U limani here, role limani.nodes.agent for the nodes."


# --- the cluster and its nodes -------------------------------------------------------------------------------------


class KubeError(LimaniError):
    """The Kubernetes API server answered with an error."""

    code, status = "kubernetes_api", 502
    default_hint = "Check that kubectl with the same kubeconfig and context can do it."


class KubeUnreachable(KubeError):
    """The Kubernetes API server cannot be reached."""

    code, status = "kubernetes_unreachable", 503
    default_hint = "Check the kubeconfig, the context, and that the cluster runs (limani cluster status)."


class KubeconfigInvalid(BadInput):
    """The kubeconfig is missing, unreadable or lacks the context."""

    code = "kubeconfig_invalid"
    default_hint = "Name an existing file with --kubeconfig or KUBECONFIG, and one of its contexts with --context."


class NodeUnknown(BadInput):
    """A node of that name does not exist in the cluster."""

    code, status = "node_unknown", 404
    default_hint = "kubectl get nodes lists the names."


class AgentMissing(LimaniError):
    """The node runs no agent that answers."""

    code, status = "agent_missing", 503
    default_hint = "Install the agent: limani agent install, or role limani.nodes.agent."


class AgentUnreachable(LimaniError):
    """The agent stopped answering, or the way to it broke."""

    code, status = "agent_unreachable", 503
    default_hint = "Check the node (limani agent status) and run again; only what is missing will be sent."


class TimedOut(LimaniError):
    """It took longer than allowed."""

    code, status = "timed_out", 504
    default_hint = "Raise the timeout, or run again: what has arrived is kept."


class NotEnoughDisk(LimaniError):
    """The node has less free disk than the images need; nothing was sent to it."""

    code, status = "disk_full", 507
    default_hint = "Free space on the node (limani prune), or choose other nodes."


class RuntimeUnavailable(LimaniError):
    """The container runtime of the node does not answer."""

    code, status = "runtime_unavailable", 503
    default_hint = "Check containerd or dockerd on the node, and that the agent mounts the right socket."


class RuntimeFailed(LimaniError):
    """The container runtime of the node refused or failed."""

    code, status = "runtime_failed", 502
    default_hint = "The runtime's own words are in the message; its log on the node says more."


class ImageInUse(LimaniError):
    """The image is used by a container and was not removed."""

    code, status = "image_in_use", 409
    default_hint = "Stop what uses it, or remove it with force."


class Unsupported(LimaniError):
    """The engine or platform cannot do what was asked; it was refused rather than ignored."""

    code, status = "unsupported", 501
    default_hint = "Leave the option out for this node."


class SomeNodesFailed(LimaniError):
    """Not enough nodes succeeded; the result of each node is in ``fields['nodes']``."""

    code, status = "nodes_failed", 502
    default_hint = "Mend what the nodes above say and run again; only what is missing will be sent."


class SourceUnavailable(LimaniError):
    """The registry or local runtime an image should come from cannot be used."""

    code, status = "source_unavailable", 502
    default_hint = "Check the address, the credentials and that the service runs."


# --- this machine --------------------------------------------------------------------------------------------------


class HostUnsuitable(LimaniError):
    """The machine lacks something the job needs (root, a command, a kernel feature)."""

    code, status = "host_unsuitable", 400
    default_hint = "limani cluster doctor lists what is missing and how to get it."


class ClusterExists(BadInput):
    """A cluster of that name exists and differs from what was asked."""

    code, status = "cluster_exists", 409
    default_hint = "Delete it first (limani cluster delete NAME) or choose another name."


class ClusterUnknown(BadInput):
    """No cluster of that name exists."""

    code, status = "cluster_unknown", 404
    default_hint = "limani cluster list shows what exists; limani cluster create NAME makes one."


class CommandFailed(LimaniError):
    """A command of the system failed; its arguments, exit code and output are in ``fields``."""

    code, status = "command_failed", 500
    default_hint = "The command's own output says why."


class BinariesUnavailable(LimaniError):
    """The cluster's binaries could be had in none of the ways allowed."""

    code, status = "binaries_unavailable", 503
    default_hint = "Give a folder (--binaries DIR), allow downloads, or install Go to compile them."


# --- the learning lab ----------------------------------------------------------------------------------------------


class LessonInvalid(BadInput):
    """A file of a lesson is not what its schema says; the message names file and line."""

    code = "lesson_invalid"
    default_hint = "Correct the line named above (docs: developing, How to write a lesson)."


class LessonUnknown(BadInput):
    """No lesson of that name exists, or the lesson has no check, break or step of that name."""

    code, status = "lesson_unknown", 404
    default_hint = "limani lab list shows all lessons."


class LessonNotStarted(LimaniError):
    """The verb needs a lesson that is started."""

    code, status = "lesson_not_started", 409
    default_hint = "Start one: limani lab start first-success."


class NotTheLab(LimaniError):
    """The cluster or the Docker daemon is not one the lab made; nothing was changed there."""

    code, status = "not_the_lab", 403
    default_hint = "Start the lesson again (limani lab start LESSON); the lab then uses a place of its own."


class ForeignObjects(LimaniError):
    """Objects that are not the lab's have names a lesson uses; nothing was changed."""

    code, status = "foreign_objects", 409
    default_hint = "Rename or remove them yourself; or, after limani lab down, name another daemon with --docker."


class LabPageIncomplete(LimaniError):
    """Files of the web page (browser libraries, Python packages) are missing or damaged."""

    code = "lab_page_incomplete"
    default_hint = "In a clone install npm and run make setup; else install again: pip install 'limani[serve]'."


class LabPageRefused(BadInput):
    """The web page is not served in this way: it would open more than it should."""

    code, status = "lab_page_refused", 400
    default_hint = "limani lab serve --help says what is possible."
