"""What the names of files and folders say in the landing folder."""

IN_PROGRESS = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".incomplete", ".upload")
"""What the names of files and folders end in, in small letters, that are still being written."""


def is_in_progress(name: str) -> bool:
    """Whether a file of this name is still being written, or whatever is in a folder of this name."""
    return name.startswith(".") or name.lower().endswith(IN_PROGRESS)
