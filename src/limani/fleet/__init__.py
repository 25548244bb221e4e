"""Many agents at once: finding them, talking to them, installing them."""
