"""gRPC's errors, translated."""

import grpc

from limani.engine.containerd.rpc import is_status, translate
from limani.errors import LimaniError


class Error(grpc.RpcError):
    """An error as a channel raises it."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return ""


def test_every_grpc_status_is_translated() -> None:
    """No gRPC status leaves the engine as anything but an error of ours that says which call failed."""
    for code in grpc.StatusCode:
        error = translate(Error(code), "/a.b.Service/Method")
        assert isinstance(error, LimaniError)
        assert is_status(error, code)
        assert "Service.Method" in error.message
