"""Ids with the API's prefixes, and suffixes of alphanumerics or, for some, hexadecimal digits."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_SUFFIX_LENGTHS = {"file": 22}
_SEPARATORS = {"file": "-"}
_HEXADECIMAL = ("vs", "vsfb", "upload", "part")


def new_id(prefix: str) -> str:
    """A fresh id such as `thread_` and 24 alphanumerics (`file-` and 22, `vs_` and 32, as the hosted API's)."""
    if prefix in _HEXADECIMAL:
        return f"{prefix}_{secrets.token_hex(16)}"
    length = _SUFFIX_LENGTHS.get(prefix, 24)
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(length))
    return f"{prefix}{_SEPARATORS.get(prefix, '_')}{suffix}"
