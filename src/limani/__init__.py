"""Limani looks after what is on the nodes of a cluster: images, containers, and which images may run."""

__version__: str


def __getattr__(name: str) -> str:
    """``__version__`` when it is asked for: finding it costs more than many a command does otherwise."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("limani")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0.0.0"
