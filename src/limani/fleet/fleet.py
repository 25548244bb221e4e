"""The agents of a cluster as one thing: choose nodes, ask all of them at once, keep one result per node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from limani.errors import AgentMissing, BadInput, LimaniError, NodeUnknown
from limani.fleet.agent import AgentClient
from limani.kube.nodes import Node, list_nodes
from limani.kube.session import KubeSession
from limani.kube.tokens import TokenSource
from limani.wire import NAMESPACE

T = TypeVar("T")

OPERATOR = "limani-operator"
"""Service account whose tokens may change images on nodes."""
VIEWER = "limani-viewer"
"""Service account whose tokens may only look."""
AT_ONCE = 64


def no_agent(node: Node) -> AgentMissing:
    """The error for a node without a ready agent, with the next step that fits."""
    hint = None
    if not node.ready:
        hint = f"See why: kubectl describe node {node.name}."
    elif node.pod:
        hint = f"See why: kubectl -n {node.namespace} logs {node.pod}, and kubectl -n {node.namespace} describe pod."
    return AgentMissing(f"{node.why or f'Node {node.name} has no agent'}.", hint=hint, node=node.name)


class Fleet:
    """The chosen nodes of a cluster and a way to the agent of each."""

    def __init__(
        self, session: KubeSession, nodes: Sequence[Node], tokens: TokenSource, namespace: str = NAMESPACE
    ) -> None:
        self.session = session
        self.nodes = list(nodes)
        self._tokens = tokens
        self._namespace = namespace
        self._clients = {node.name: AgentClient(session, node, tokens) for node in nodes if node.agent}

    @classmethod
    async def find(
        cls,
        session: KubeSession,
        *,
        names: Sequence[str] = (),
        selector: str = "",
        namespace: str = NAMESPACE,
        account: str = OPERATOR,
    ) -> Fleet:
        """Choose nodes by name, by label selector, or all. Raises NodeUnknown naming those that do not exist."""
        tokens = TokenSource(session, namespace, account)
        found = await list_nodes(session, namespace, selector)
        if names:
            by_name = {node.name: node for node in found}
            missing = [name for name in names if name not in by_name]
            if missing:
                known = ", ".join(sorted(by_name)) or "none"
                raise NodeUnknown(f"No such node: {', '.join(missing)} (known: {known}).", nodes_missing=missing)
            found = [by_name[name] for name in dict.fromkeys(names)]
        if not found:
            text = f"No node matches the label selector {selector!r}." if selector else "The cluster has no nodes."
            raise BadInput(text, selector=selector)
        return cls(session, found, tokens, namespace)

    def agent(self, node: str) -> AgentClient:
        """The agent of a node. Raises AgentMissing with the reason if none is ready there."""
        problem = self.problem(node)
        if problem is not None:
            raise problem
        return self._clients[node]

    def problem(self, node: str) -> AgentMissing | None:
        """Why a node cannot be worked on, None if its agent was ready when last looked at."""
        if node in self._clients:
            return None
        found = next(n for n in self.nodes if n.name == node)
        return no_agent(found)

    async def refresh(self, name: str) -> None:
        """Look again which pod is the agent of a node (it may have been replaced); silent while nobody answers."""
        old = next(node for node in self.nodes if node.name == name)
        try:
            found = await list_nodes(self.session, self._namespace)
        except LimaniError:
            return
        fresh = next((node for node in found if node.name == name), None)
        if fresh is None or fresh == old:
            return
        self.nodes[self.nodes.index(old)] = fresh
        if fresh.agent:
            self._clients[name] = AgentClient(self.session, fresh, self._tokens)

    async def each(
        self, ask: Callable[[AgentClient], Awaitable[T]], nodes: Sequence[str] | None = None
    ) -> dict[str, T | LimaniError]:
        """Ask every node (or some) at once; what failed is the LimaniError in that node's place."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> T | LimaniError:
            try:
                async with gate:
                    return await ask(self.agent(name))
            except LimaniError as error:
                return error

        names = [node.name for node in self.nodes] if nodes is None else list(nodes)
        answers = await asyncio.gather(*(one(name) for name in names))
        return dict(zip(names, answers, strict=True))
