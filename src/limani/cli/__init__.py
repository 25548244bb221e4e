"""The ``limani`` command."""
