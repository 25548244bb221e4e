"""containerd over gRPC, as it works unchanged from containerd 1.6 to 2.4."""
