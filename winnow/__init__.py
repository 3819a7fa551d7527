"""Winnow for users: the Python client, the command line and the one-machine stack."""
