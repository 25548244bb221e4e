"""Probes of Pods against an API server that answers from a table."""

from __future__ import annotations

from pathlib import Path

from limani.lab.probes import kube
from limani.lab.record import Status
from tests.unit.lab.probes.kube_world import Api, container, pod, world


async def test_a_missing_pod_is_looked_for_in_default_too(tmp_path: Path) -> None:
    """The cause differs: not made at all, or made in the wrong namespace."""
    api = Api()
    assert (await kube.pod_ready(world(api, tmp_path), name="site")).cause == "missing"
    api.answers["/api/v1/namespaces/default/pods/site"] = pod("site")
    assert (await kube.pod_ready(world(api, tmp_path), name="site")).cause == "other-namespace"


async def test_a_ready_pod_with_too_few_containers_fails(tmp_path: Path) -> None:
    """``containers`` counts those of the spec."""
    api = Api()
    api.has("pods", pod("duo", container(), ready=True))
    assert (await kube.pod_ready(world(api, tmp_path), name="duo")).status == Status.PASS
    assert (await kube.pod_ready(world(api, tmp_path), name="duo", containers=2)).cause == "few-containers"


async def test_every_text_must_be_in_the_answer(tmp_path: Path) -> None:
    """The probe sends the request; it names what is missing."""
    api = Api()
    api.pod_says("site", "version 1\nhost site\n")
    finding = await kube.pod_answers(world(api, tmp_path), name="site", contains=("version 1", "token x"))
    assert finding.cause == "other-answer"
    assert finding.evidence == {"missing": ["token x"]}
    assert (await kube.pod_answers(world(api, tmp_path), name="site", contains=("version 1",))).status == Status.PASS
    api.pod_says("site", 503)
    assert (await kube.pod_answers(world(api, tmp_path), name="site", contains=())).cause == "no-answer"


async def test_the_same_pod_is_told_by_uid_address_and_restarts(tmp_path: Path) -> None:
    """Each thing that may be wrong with the note or the Pod has its own cause; the note may hold more words."""
    api = Api()
    note = tmp_path / "before.txt"

    async def cause(restarts: int) -> str | None:
        api.has("pods", pod("site", container(restarts=restarts), ready=True))
        finding = await kube.pod_restarted(world(api, tmp_path), name="site", note="before.txt")
        return finding.cause if finding.status == Status.FAIL else str(finding.status)

    assert await cause(1) == "no-note"
    note.write_text("uid-old 10.0.0.7")
    assert await cause(1) == "new-pod"
    note.write_text("uid-site")
    assert await cause(1) == "no-note"
    note.write_text("my note: uid-site 10.0.0.7\n")
    assert await cause(0) == "not-restarted"
    assert await cause(1) == "pass"


async def test_logs_of_all_containers_are_read(tmp_path: Path) -> None:
    """A text in any container's log passes; else the last line is shown."""
    api = Api()
    api.has("pods", pod("duo", container(), container(name="watcher"), ready=True))
    logs = {"web": "127.0.0.1 / 200\n", "watcher": "host duo\nwget: bad address\n"}
    api.answers["/api/v1/namespaces/pods/pods/duo/log"] = lambda request: logs[request.url.params["container"]]
    finding = await kube.pod_logs(world(api, tmp_path), name="duo", contains="host duo")
    assert finding.status == Status.PASS
    assert finding.found.values["container"] == "watcher"
    finding = await kube.pod_logs(world(api, tmp_path), name="duo", contains="version 2")
    assert (finding.cause, finding.found.values["line"]) == ("other-logs", "wget: bad address")
    finding = await kube.pod_logs(world(api, tmp_path), name="duo", contains="host duo", container="web")
    assert finding.cause == "other-logs"
