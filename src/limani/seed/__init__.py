"""Planning and running the distribution of images over a fleet."""
