"""Why a file has no text for us."""


class UnreadableError(Exception):
    """Damaged, encrypted, or not what its name says."""


class TooLargeError(Exception):
    """Beyond a limit of size."""
