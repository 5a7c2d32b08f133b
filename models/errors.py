"""Errors of networks. In a module of its own, since this package imports no other of the project."""


class ModelError(RuntimeError):
    """A network or portrait is missing, is not the one that was pinned, or no backend can run it.

    The message is one line: what is wrong, where, and what to do about it. The command ends with status 2.
    """

    exit_status = 2
