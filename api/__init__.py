"""The HTTP shell: routes, wire schemas and errors over the domain in `curation`."""
