"""The proof matrix: every lesson on the real thing, every claim a test of its own."""
