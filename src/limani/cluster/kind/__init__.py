"""Clusters made by kind: every node is a Docker container. The ``kind`` command makes them, Docker tells about them."""
