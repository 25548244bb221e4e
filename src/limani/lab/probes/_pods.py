"""What state a Pod is in, told from what the API server says of it, with the cause where one is recognised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from limani.lab.record import Text

Object = Mapping[str, Any]

IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError"})
START = frozenset({"RunContainerError", "CreateContainerError", "StartError"})


@dataclass(frozen=True)
class State:
    """``cause``: a name lessons explain; None where it is only a matter of time or nothing is wrong."""

    ready: bool
    text: Text
    cause: str | None = None


def state(pod: Object, now: datetime | None = None) -> State:
    """The state of a Pod: the first thing that keeps it from being Ready."""
    name = pod["metadata"]["name"]
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return State(False, Text("kube.pod.terminating", {"name": name}))
    trouble = next(_troubles(pod, now or datetime.now(UTC)), None)
    if trouble:
        return trouble
    if condition(pod, "Ready").get("status") == "True":
        return State(True, Text("kube.pod.ready", {"name": name}))
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        text = Text("kube.pod.unschedulable", {"name": name, "message": scheduled.get("message", "")})
        return State(False, text, "unschedulable")
    if status.get("phase") in ("Succeeded", "Failed"):
        return State(False, Text("kube.pod.finished", {"name": name, "phase": status["phase"]}), "finished")
    return State(False, Text("kube.pod.starting", {"name": name, "phase": status.get("phase", "Pending")}))


def condition(thing: Object, kind: str) -> Object:
    """The condition of that type, empty if there is none."""
    conditions = thing.get("status", {}).get("conditions") or ()
    return next((item for item in conditions if item.get("type") == kind), {})


def container_statuses(pod: Object) -> list[Object]:
    """The statuses of the ordinary containers."""
    return list(pod.get("status", {}).get("containerStatuses") or ())


def seconds_since(moment: str, now: datetime) -> int:
    """Whole seconds since a time as the API writes it."""
    return max(0, int((now - datetime.fromisoformat(moment)).total_seconds()))


def _troubles(pod: Object, now: datetime) -> Iterator[State]:
    """Init containers first: while one of them is not done, the others do not even start."""
    spec = pod.get("spec", {})
    restarts = spec.get("restartPolicy", "Always") == "Always"
    written = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    images = {item["name"]: item.get("image", "") for item in written}
    for init in pod.get("status", {}).get("initContainerStatuses") or ():
        if init.get("started") and init.get("ready"):  # a sidecar, or one that ended well
            continue
        if found := _waiting(init, images.get(init["name"], "")) or _init(init, now):
            yield found
    for item in container_statuses(pod):
        wanted = images.get(item["name"], "")
        if found := _changed(item, wanted) or _waiting(item, wanted) or _ended(item, restarts) or _unready(item):
            yield found


def _changed(item: Object, wanted: str) -> State | None:
    """A container that was ended because its image was changed, and waits like a crashed one: no crash."""
    reason = item.get("state", {}).get("waiting", {}).get("reason")
    if reason != "CrashLoopBackOff" or item.get("image", "").endswith(wanted):
        return None
    return State(False, Text("kube.container.changed", {"container": item["name"], "image": wanted}))


def _waiting(item: Object, image: str) -> State | None:
    """A container that is held up for a reason the kubelet names; ``image``: as the manifest has it."""
    waiting = item.get("state", {}).get("waiting")
    if not waiting:
        return None
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    facts = {"container": item["name"], "image": image, "reason": reason, "message": message}
    if reason in IMAGE:
        return State(False, Text("kube.container.image_pull", facts), "image-pull")
    if reason == "InvalidImageName":
        return State(False, Text("kube.container.image_name", facts), "image-name")
    if reason == "CrashLoopBackOff":
        return _crashed(item, reason)
    if reason == "CreateContainerConfigError":
        return State(False, Text("kube.container.config", facts), "container-config")
    if reason in START:
        return State(False, Text("kube.container.start", facts), "container-start")
    return None


def _init(item: Object, now: datetime) -> State | None:
    """An init container that goes on, or has failed."""
    now_in = item.get("state", {})
    if running := now_in.get("running"):
        facts = {"container": item["name"], "seconds": seconds_since(running["startedAt"], now)}
        return State(False, Text("kube.init.waits", facts), "init-waits")
    ended = now_in.get("terminated")
    if ended and ended.get("exitCode"):
        facts = {"container": item["name"], "code": ended["exitCode"]}
        return State(False, Text("kube.init.fails", facts), "init-fails")
    return None


def _ended(item: Object, restarts: bool) -> State | None:
    """A container that has just ended although it should go on; a first end may be one on purpose, so no cause yet."""
    ended = item.get("state", {}).get("terminated")
    if not ended:
        return None
    by_itself = ended.get("exitCode", 0) not in (0, 137, 143)  # not by a signal somebody sent
    if restarts and (item.get("restartCount") or by_itself):
        return _crashed(item, ended.get("reason", ""))
    facts = {"container": item["name"], "code": ended.get("exitCode", 0), "reason": ended.get("reason", "")}
    return State(False, Text("kube.container.ended", facts), None if restarts else "finished")


def _crashed(item: Object, reason: str) -> State:
    """A container that ends again and again."""
    last = item.get("lastState", {}).get("terminated") or item.get("state", {}).get("terminated") or {}
    facts = {
        "container": item["name"],
        "restarts": item.get("restartCount", 0),
        "code": last.get("exitCode", 0),
        "reason": reason,
    }
    if last.get("reason") in START:
        facts["message"] = last.get("message", "")
        return State(False, Text("kube.container.start", facts), "container-start")
    if last.get("reason") == "OOMKilled":
        return State(False, Text("kube.container.memory", facts), "out-of-memory")
    return State(False, Text("kube.container.crash", facts), "crash-loop")


def _unready(item: Object) -> State | None:
    """A container that runs and whose readiness probe says no; without one, running is being ready."""
    if "running" in item.get("state", {}) and not item.get("ready"):
        return State(False, Text("kube.container.not_ready", {"container": item["name"]}), "not-ready")
    return None
