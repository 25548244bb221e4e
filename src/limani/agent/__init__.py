"""The service on every node: the runtime's images over the OCI Distribution API and ``/limani/v1``."""
