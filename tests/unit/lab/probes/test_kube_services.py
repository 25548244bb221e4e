"""Probes of Services against an API server that answers from a table."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2

from limani.lab.probes import kube_services
from limani.lab.record import Status
from tests.unit.lab.probes.kube_world import Api, container, pod, world

SLICES = "/apis/discovery.k8s.io/v1"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", **spec}}


def slice_of(name: str, *addresses: str, ready: bool = True, port: int = 8080) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses],
        "ports": [{"port": port}],
    }


async def test_why_a_service_has_no_endpoints(tmp_path: Path) -> None:
    """No Service, no selector, labels that no Pod has, Pods that are not ready, too few of them: five causes."""
    api = Api()

    async def cause(at_least: int = 1) -> str | None:
        finding = await kube_services.endpoints(world(api, tmp_path), name="shop", at_least=at_least)
        return finding.cause if finding.status == Status.FAIL else str(finding.status)

    assert await cause() == "missing"
    api.has("services", service("shop"))
    api.has("endpointslices", prefix=SLICES)
    assert await cause() == "no-selector"
    api.has("services", service("shop", selector={"app": "frontend"}))
    api.has("pods", pod("shop", container(), ready=True))
    assert await cause() == "selector"
    api.has("services", service("shop", selector={"app": "shop"}))
    api.has("pods", pod("shop", container() | {"ready": False}))
    api.has("endpointslices", slice_of("shop", "10.0.0.7", ready=False), prefix=SLICES)
    assert await cause() == "not-ready"
    api.has("pods", pod("shop", container(), ready=True))
    api.has("endpointslices", slice_of("shop", "10.0.0.7"), prefix=SLICES)
    assert await cause(2) == "few-pods"
    assert await cause() == "pass"


async def test_a_request_is_sent_and_the_hosts_are_counted(tmp_path: Path) -> None:
    """Different hosts pass; always the same one does not."""
    api = Api()
    api.has("services", service("shop"))
    api.has("pods", pod("client", container(), ready=True))
    hosts = cycle(["a", "b"])
    api.pod_says("client", lambda request: f"HTTP/1.1 200 OK\nversion 2\nhost {next(hosts)}\n")
    finding = await kube_services.answers(world(api, tmp_path), url="http://shop/", hosts=2)
    assert finding.status == Status.PASS
    assert api.asked[-1].url.params["url"] == "http://shop/"
    api.pod_says("client", "HTTP/1.1 200 OK\nversion 2\nhost a\n")
    assert (await kube_services.answers(world(api, tmp_path), url="http://shop/", hosts=2)).cause == "few-pods"


async def test_a_service_that_is_not_there_is_not_asked_for(tmp_path: Path) -> None:
    """The cluster's DNS would remember for a while that there is no such name."""
    api = Api()
    api.has("pods", pod("client", container(), ready=True))
    assert (await kube_services.answers(world(api, tmp_path), url="http://shop/")).cause == "missing"
    assert not [request for request in api.asked if "proxy" in request.url.path]


async def test_a_dead_target_port_is_told_from_other_silence(tmp_path: Path) -> None:
    """If the Pods themselves do not answer on the port the Service sends to, that is the cause."""
    api = Api()
    api.has("services", service("shop"))
    api.has("pods", pod("client", container(), ready=True))
    api.has("endpointslices", slice_of("shop", "10.0.0.7", port=80), prefix=SLICES)
    alive: set[str] = set()

    def client(request: httpx2.Request) -> str:
        url = request.url.params["url"]
        return "HTTP/1.1 200 OK\nhost a\n" if url in alive else "error: connection refused\n"

    api.pod_says("client", client)
    finding = await kube_services.answers(world(api, tmp_path), url="http://shop/")
    assert (finding.cause, finding.found.values["port"]) == ("target-port", 80)
    alive.add("http://10.0.0.7:80/")
    assert (await kube_services.answers(world(api, tmp_path), url="http://shop/")).cause == "no-answer"


async def test_without_the_labs_client_nothing_is_known(tmp_path: Path) -> None:
    """That is not the learner's fault."""
    api = Api()
    api.has("services", service("shop"))
    assert (await kube_services.answers(world(api, tmp_path), url="http://shop/")).status == Status.UNKNOWN


async def test_a_node_port_must_answer_on_every_node(tmp_path: Path) -> None:
    """One node that does not answer is enough to fail."""
    api = Api()
    api.has("pods", pod("client", container(), ready=True))
    api.has("services", service("shop"))
    assert (await kube_services.node_port(world(api, tmp_path), name="shop")).cause == "no-node-port"
    api.has("services", service("shop", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    address = [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.1.0.%d"}]
    api.answers["/api/v1/nodes"] = {
        "items": [
            {"status": {"addresses": [item | {"address": item["address"].replace("%d", str(n))} for item in address]}}
            for n in (1, 2)
        ]
    }
    down = {"http://10.1.0.2:30080/"}

    def client(request: httpx2.Request) -> str:
        return "error: refused" if request.url.params["url"] in down else "HTTP/1.1 200 OK\nhost a\n"

    api.pod_says("client", client)
    finding = await kube_services.node_port(world(api, tmp_path), name="shop")
    assert (finding.cause, finding.found.values["url"]) == ("no-answer", "http://10.1.0.2:30080/")
    down.clear()
    assert (await kube_services.node_port(world(api, tmp_path), name="shop")).status == Status.PASS


async def test_a_headless_service_has_no_address_and_is_asked_at_the_pods_port(tmp_path: Path) -> None:
    """A ClusterIP fails even though it would answer."""
    api = Api()
    api.has("pods", pod("client", container(), ready=True))
    api.pod_says("client", "HTTP/1.1 200 OK\nhost a\n")
    api.has("services", service("each"))
    assert (await kube_services.headless(world(api, tmp_path), name="each", port=8080)).cause == "not-headless"
    api.has("services", service("each", clusterIP="None"))
    assert (await kube_services.headless(world(api, tmp_path), name="each", port=8080)).status == Status.PASS
    assert api.asked[-1].url.params["url"] == "http://each:8080/"
