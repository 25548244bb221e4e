"""dockerd (20.10 and newer) over its socket, with either of its image stores."""
