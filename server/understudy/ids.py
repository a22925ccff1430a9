"""Ids with the API's prefixes and alphanumeric suffixes."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_SUFFIX_LENGTHS = {"file": 22}
_SEPARATORS = {"file": "-"}


def new_id(prefix: str) -> str:
    """A fresh id such as `thread_` and 24 alphanumerics (`file-` and 22, as the hosted API's)."""
    length = _SUFFIX_LENGTHS.get(prefix, 24)
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(length))
    return f"{prefix}{_SEPARATORS.get(prefix, '_')}{suffix}"
