"""Where lessons run: a Docker daemon, a cluster."""
