"""The errors that Winnow's client, command line and one-machine stack raise."""


class WinnowError(Exception):
    """Something that the user can read and act on; its text is one safe sentence."""


class ServerStartError(WinnowError):
    """A process of the one-machine stack did not come up; the text says where its log lies."""


class DataFolderInUseError(WinnowError):
    """Another running process owns the data folder."""
