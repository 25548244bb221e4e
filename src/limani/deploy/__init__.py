"""Installing, upgrading and removing the agents of a cluster."""
