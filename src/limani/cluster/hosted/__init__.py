"""What kind and minikube have in common: another program makes the cluster, Docker (or a VM) holds its nodes."""
