"""A node image for kind, built from Debian packages and compiled programs: no container registry is asked."""
