"""What keeps images and runs containers on one node: containerd (gRPC) and dockerd (HTTP), behind one interface."""
