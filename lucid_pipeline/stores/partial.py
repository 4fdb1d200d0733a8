"""Names of what is being written: objects that will get their own name when they are whole."""

import os
import re

_PARTIAL = re.compile(r"(?:.*/)?\.[0-9a-f]{16}\.partial")


def partial_name(key: str) -> str:
    """A new name beside a key, under which its object can be written first."""
    folder, slash, _ = key.rpartition("/")
    return f"{folder}{slash}.{os.urandom(8).hex()}.partial"


def is_partial(key: str) -> bool:
    """Whether a key is the temporary name of an object that a process which died was writing; others have none."""
    return bool(_PARTIAL.fullmatch(key))
