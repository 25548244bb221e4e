"""The images of the learning lab."""
