"""gRPC calls to containerd from asyncio.

The sync channel is used because it moves bulk data twice as fast as grpc.aio; unary calls are made as futures, so they
need no thread and a cancelled task cancels its call. Errors are translated here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from limani.errors import LimaniError, RuntimeFailed, RuntimeUnavailable, TimedOut

M = TypeVar("M", bound=Message)
T = TypeVar("T")

CALL_S = 30.0
"""Deadline of an ordinary call."""
RESTART_S = 60.0
"""How long a step waits for a containerd that went away."""

MESSAGE = 16 << 20  # containerd's own limit
_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE),
    ("grpc.max_send_message_length", MESSAGE),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
]

# gRPC status -> our error; what is not named here is RuntimeFailed. CANCELLED by the server means it is shutting down
# (our own cancellations never come this far).
TRANSLATION: dict[grpc.StatusCode, type[LimaniError]] = {
    grpc.StatusCode.UNAVAILABLE: RuntimeUnavailable,
    grpc.StatusCode.CANCELLED: RuntimeUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOut,
}


def translate(error: grpc.RpcError, method: str) -> LimaniError:
    """The LimaniError for a failed call; ``fields["grpc"]`` is the status' name."""
    code = error.code()
    kind = TRANSLATION.get(code, RuntimeFailed)
    service, _, name = method.lstrip("/").partition("/")
    text = f"containerd: {service.rsplit('.', 1)[-1]}.{name}: {error.details() or code.name}"
    return kind(text, grpc=code.name)


def is_status(error: LimaniError, code: grpc.StatusCode) -> bool:
    """Whether ``error`` was made from this gRPC status."""
    return bool(error.fields.get("grpc") == code.name)


class Rpc:
    """One channel to one containerd; ``namespace`` is used where a call names no other."""

    def __init__(self, address: str, namespace: str) -> None:
        self.address, self.namespace = address, namespace
        self._channel = grpc.insecure_channel(f"unix://{address}", options=_OPTIONS)
        self._stubs: dict[str, Any] = {}

    def close(self) -> None:
        """Close the channel; calls under way fail."""
        self._channel.close()

    def _metadata(self, namespace: str | None, lease: str) -> tuple[tuple[str, str], ...]:
        pairs = (("containerd-namespace", namespace or self.namespace),)
        return (*pairs, ("containerd-lease", lease)) if lease else pairs

    async def call(
        self,
        method: str,
        request: Message,
        answer: type[M],
        *,
        namespace: str | None = None,
        lease: str = "",
        timeout_s: float | None = CALL_S,
    ) -> M:
        """One unary call: ``method`` is ``/package.Service/Method``. Cancelling the task cancels the call."""
        stub = self._stubs.get(method)
        if stub is None:
            stub = self._channel.unary_unary(
                method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
            self._stubs[method] = stub
        future = stub.future(request, timeout=timeout_s, metadata=self._metadata(namespace, lease))
        try:
            await _finished(future)
            result: M = future.result()
        except grpc.RpcError as error:
            raise translate(error, method) from error
        except grpc.FutureCancelledError as error:
            raise RuntimeUnavailable(f"containerd: {method} was cancelled by the channel.") from error
        return result

    async def maybe(self, method: str, request: Message, answer: type[M], **options: Any) -> M | None:
        """``call``, but None where containerd says NOT_FOUND."""
        try:
            return await self.call(method, request, answer, **options)
        except RuntimeFailed as error:
            if is_status(error, grpc.StatusCode.NOT_FOUND):
                return None
            raise

    def stream(
        self, method: str, request: Message, answer: type[M], *, namespace: str | None = None, lease: str = ""
    ) -> Any:
        """Start a call whose answer is a stream; iterate it in a worker thread."""
        stub = self._channel.unary_stream(
            method, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        return stub(request, metadata=self._metadata(namespace, lease))

    def duplex(
        self, method: str, requests: Iterator[Message], kind: type[Message], answer: type[M], *, lease: str = ""
    ) -> Any:
        """Start a call that streams both ways; iterate it in a worker thread."""
        stub = self._channel.stream_stream(
            method, request_serializer=kind.SerializeToString, response_deserializer=answer.FromString
        )
        return stub(requests, metadata=self._metadata(None, lease))

    async def ready(self, timeout_s: float) -> bool:
        """Wait until the channel is connected (containerd listens); False when it is not within ``timeout_s``."""
        future = grpc.channel_ready_future(self._channel)
        try:
            async with asyncio.timeout(timeout_s):
                await _finished(future)
        except TimeoutError:
            return False
        finally:
            future.cancel()
        return True

    async def redo(self, step: Callable[[], Awaitable[T]], patience_s: float = RESTART_S) -> T:
        """Run an idempotent step, and again when containerd went away under it and came back.

        Raises RuntimeUnavailable when it stays away for ``patience_s`` or goes away again and again.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        for attempt in range(1, 10):
            try:
                return await step()
            except RuntimeUnavailable:
                left = deadline - loop.time()
                # The back-off is for a containerd that listens and is not yet able to answer.
                if left <= 0 or not await self.ready(left):
                    raise
                await asyncio.sleep(min(0.05 * 2**attempt, max(0.0, left)))
        return await step()


async def _finished(future: Any) -> None:
    """Wait for a future of grpc without a thread; cancelled, it cancels the future."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def done(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile: nobody waits
            loop.call_soon_threadsafe(functools.partial(_wake, waiter))

    future.add_done_callback(done)
    try:
        await waiter
    except asyncio.CancelledError:
        future.cancel()
        raise


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
