"""The agent's image."""
