"""Starting and removing a lesson. What is done is written down first, so the next verb mends a killed one."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from limani.errors import LessonNotStarted, Unsupported
from limani.kube.session import KubeSession
from limani.lab import actions, own_docker, own_kube
from limani.lab.lesson import Lesson
from limani.lab.place.home import identity
from limani.lab.rules import RANDOM
from limani.lab.state import Attempt, Store
from limani.lab.world import CONTEXT, World

if TYPE_CHECKING:
    from docker import DockerClient

    from limani.lab.place.cluster import ClusterPlace
    from limani.lab.place.docker import DockerPlace

Say = Callable[[str], None]
OWN_DOCKER = "own"
"""The kind of Docker place that holds nothing but the lab's objects."""


class Lifecycle:
    """Starts and removes lessons in one home."""

    def __init__(self, home: Path, store: Store) -> None:
        self.home = home
        self.store = store
        self.kubeconfig = home / "kubeconfig"

    @property
    def lab_id(self) -> str:
        """What the label of everything the lab makes says."""
        return identity(self.home)

    def workspace(self, lesson: str) -> Path:
        """Where the learner works on that lesson."""
        return self.home / "work" / lesson

    async def start(self, lesson: Lesson, backend: str | None, docker: str | None, say: Say) -> None:
        """Make everything the lesson needs; what an earlier attempt left is removed first."""
        client = cluster = place = None
        _need_nodes(lesson, backend)
        if lesson.needs_docker:
            place = await self._docker_up(docker, say)
            client = await asyncio.to_thread(_client, place.host)
        try:
            if lesson.needs_cluster:
                cluster = await self._cluster_up(backend, say)
                _need_nodes(lesson, cluster.backend)
            await self._clear(lesson, client, cluster)
            if client and place:
                await asyncio.to_thread(own_docker.refuse_foreign, client, lesson.owns, place.host)
            values = {name: secrets.token_hex(4) if v == RANDOM else v for name, v in lesson.values.items()}
            with self.store.change() as state:
                state.lessons[lesson.id] = Attempt(values=values, started=time.time())
                state.current = lesson.id
            if client and place:
                await asyncio.to_thread(self._start_docker, lesson, client, place)
            if cluster:
                await self._start_cluster(lesson, cluster)
        finally:
            if client:
                client.close()
        self._link_command()
        world = self.world(lesson)
        actions.lay_out(lesson, world.workspace, world.values)
        await actions.run_all(lesson.start, world)
        with self.store.change() as state:
            state.lessons[lesson.id].phase = "ready"

    async def resume(self, lesson: Lesson, backend: str | None, docker: str | None, say: Say) -> bool:
        """Bring up the places of a lesson that is ready; False if what it had is no longer there."""
        attempt = self.store.read().lessons[lesson.id]
        if lesson.needs_docker:
            place = await self._docker_up(docker, say)
            if place.host != attempt.docker_host:
                return False
        if lesson.needs_cluster:
            cluster = await self._cluster_up(backend, say)
            own_kube.write_kubeconfig(self.kubeconfig, cluster.kubeconfig, cluster.context, attempt.namespace)
            async with KubeSession.open(str(self.kubeconfig), CONTEXT) as session:
                return await session.find(f"/api/v1/namespaces/{attempt.namespace}") is not None
        return True

    async def remove(self, lesson: Lesson, say: Say) -> None:
        """Remove what the lesson has; the learner's files move to ``<workspace>.before``."""
        attempt = self.store.read().lessons.get(lesson.id)
        if attempt is None:
            return
        client = cluster = None
        if attempt.before is not None:
            place = await self._docker_up(None, say)
            client = await asyncio.to_thread(_client, place.host)
        try:
            if lesson.needs_cluster:
                cluster = await self._cluster_up(None, say)
            await self._clear(lesson, client, cluster)
        finally:
            if client:
                client.close()
        actions.keep_aside(self.workspace(lesson.id))
        with self.store.change() as state:
            del state.lessons[lesson.id]
            state.current = None if state.current == lesson.id else state.current

    async def _clear(self, lesson: Lesson, client: DockerClient | None, cluster: ClusterPlace | None) -> None:
        """Remove the objects of an earlier attempt, if any."""
        with self.store.change() as state:
            attempt = state.lessons.get(lesson.id)
            if attempt is None:
                return
            attempt.phase = "removing"
        if client and attempt.before is not None:
            own = attempt.docker_own
            await asyncio.to_thread(own_docker.remove, client, lesson.owns, attempt.before, everything=own)
        if cluster:
            async with KubeSession.open(str(cluster.kubeconfig), cluster.context) as session:
                await own_kube.remove_namespaces(session, self.lab_id, lesson.id)

    def _start_docker(self, lesson: Lesson, client: DockerClient, place: DockerPlace) -> None:
        from limani.lab.place.docker import load_docker

        load_docker(place, lesson.images)
        before = own_docker.snapshot(client)
        with self.store.change() as state:
            attempt = state.lessons[lesson.id]
            attempt.docker_host, attempt.address = place.host, place.address
            attempt.docker_own = place.kind == OWN_DOCKER
            attempt.before = before

    async def _start_cluster(self, lesson: Lesson, cluster: ClusterPlace) -> None:
        from limani.lab.place.cluster import load_cluster

        await asyncio.to_thread(load_cluster, cluster, lesson.images)
        async with KubeSession.open(str(cluster.kubeconfig), cluster.context) as session:
            namespace = await own_kube.make_namespace(session, lesson.id, self.lab_id)
        with self.store.change() as state:
            state.lessons[lesson.id].namespace = namespace
        own_kube.write_kubeconfig(self.kubeconfig, cluster.kubeconfig, cluster.context, namespace)

    async def _docker_up(self, wanted: str | None, say: Say) -> DockerPlace:
        from limani.lab.place.docker import docker_up

        return await asyncio.to_thread(docker_up, self.home, wanted, say)

    async def _cluster_up(self, backend: str | None, say: Say) -> ClusterPlace:
        """The cluster, after making sure that it is the lab's: nothing else may be changed."""
        from limani.lab.place.cluster import cluster_up, verify

        place = await asyncio.to_thread(cluster_up, self.home, backend=backend, name=None, say=say)
        await asyncio.to_thread(verify, place)
        return place

    def world(self, lesson: Lesson) -> World:
        """The world of a started lesson. Raises LessonNotStarted."""
        attempt = self.store.read().lessons.get(lesson.id)
        if attempt is None:
            raise LessonNotStarted(
                f"The lesson {lesson.id} is not started.", hint=f"limani lab start {lesson.id}", lesson=lesson.id
            )
        workspace = self.workspace(lesson.id)
        values = {**attempt.values, "workspace": str(workspace), "address": attempt.address}
        return World(
            lesson=lesson.id,
            workspace=workspace,
            values={**values, "namespace": attempt.namespace or ""},
            namespace=attempt.namespace,
            kubeconfig=self.kubeconfig if attempt.namespace else None,
            docker_host=attempt.docker_host,
            address=attempt.address,
            env=self.environment(attempt),
            started=attempt.started,
        )

    def environment(self, attempt: Attempt) -> Mapping[str, str]:
        """What a shell needs to work in the lesson."""
        from limani.lab.place.cluster import cluster_status

        path = f"{self.home / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        found = {"LIMANI_LAB_HOME": str(self.home), "PATH": path}
        if attempt.namespace:
            found["KUBECONFIG"] = str(self.kubeconfig)
            if place := cluster_status(self.home):
                found["LIMANI_CLUSTER"] = place.name  # what limani cluster means without --cluster
        if attempt.docker_host:
            found["DOCKER_HOST"] = attempt.docker_host
        return found

    def _link_command(self) -> None:
        """The learner's shell finds ``limani`` also where it is not on the PATH."""
        own = Path(sys.executable).with_name("limani")
        link = self.home / "bin" / "limani"
        if own.exists() and not link.is_symlink() and shutil.which("limani") is None:
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(own)


def _need_nodes(lesson: Lesson, backend: str | None) -> None:
    """Refuse a lesson that stops parts of the cluster where they cannot be stopped one by one."""
    if "nodes" in lesson.requires and backend not in (None, "native"):
        raise Unsupported(
            f"The lesson {lesson.id} stops processes of the cluster, which a cluster made by {backend} does not allow.",
            hint="Use a native cluster: limani lab down, then start the lesson without --backend (as root).",
            lesson=lesson.id,
            backend=backend,
        )


def _client(host: str) -> DockerClient:
    from docker import DockerClient

    return DockerClient(base_url=host, timeout=60)
