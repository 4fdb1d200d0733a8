"""What is asked of paths in more than one place."""

from pathlib import Path

from lucid_pipeline.errors import UsageError


def is_there(path: Path, what: str) -> bool:
    """Whether there is anything at a path.

    Args:
        path: where to look.
        what: what it is to the reader of the error, such as "key file".

    Raises:
        UsageError: this user may not look.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UsageError(f"cannot use the {what} {path}: {error.strerror}", "may this user use it?") from error
    return True
