"""The domain shared by the HTTP shell and the worker: tables, state changes, objects, files."""
