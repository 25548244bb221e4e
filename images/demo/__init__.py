"""The images the demo seeds."""
