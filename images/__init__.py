"""Container images of ours, built from Debian packages without any container registry."""
