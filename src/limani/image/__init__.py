"""What a container image is: digests, references, manifests, archives. No network, no container runtime."""
