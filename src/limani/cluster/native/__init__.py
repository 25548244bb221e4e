"""The native backend: a real Kubernetes from plain processes and Linux namespaces, on this machine alone."""
