"""The Kubernetes API as Limani uses it."""
