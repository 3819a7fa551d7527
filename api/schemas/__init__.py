"""The shapes that travel over HTTP, a file for each resource."""
