"""OCI Distribution (specification v1.1): reading from registries, and the server side an agent mounts at ``/v2/``."""
