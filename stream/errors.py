"""The exceptions, as one tree.

    UnblurError              exit status 1: failed while working
    ├── UsageError           exit status 2: the input is at fault; nothing was written
    │   ├── SourceError      no such camera, file or stream, or it holds no picture
    │   ├── GalleryError     not a gallery, or one made for another network
    │   ├── OutputError      the output cannot be written there
    │   └── ConfirmationRequiredError  the user has not confirmed it yet
    ├── DamagedSourceError   a recording that broke off: what was readable has been processed
    └── StorageError         the disk refused while working (full, gone, read-only)

A message is one line: what is wrong, where, and what to do about it.
"""


class UnblurError(Exception):
    """Something went wrong while working; the command ends with status 1."""

    exit_status = 1


class UsageError(UnblurError):
    """The user's input is at fault; the command ends with status 2 and has written nothing."""

    exit_status = 2


class SourceError(UsageError):
    """A source does not exist, cannot be opened or holds no picture."""


class GalleryError(UsageError):
    """A gallery is missing, is not one of ours, or belongs to another network."""


class OutputError(UsageError):
    """An output cannot be written where it was asked for."""


class ConfirmationRequiredError(UsageError):
    """The request may be a mistake: it is done once the user confirms it."""


class DamagedSourceError(UnblurError):
    """A recording broke off; everything readable was processed, and the message says what was lost."""


class StorageError(UnblurError):
    """The disk refused while working: full, gone or read-only."""
