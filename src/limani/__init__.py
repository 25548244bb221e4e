"""Limani looks after what is on the nodes of a cluster: images, containers, and which images may run."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("limani")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
