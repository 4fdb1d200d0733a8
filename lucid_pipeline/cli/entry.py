"""Where a process of `lucid` begins. What is imported here comes before signals and streams are as they should be.

So it is next to nothing: all else takes a third of a second, in which a person can press control-c.
"""

import os
import sys

from lucid_pipeline.cli.signals import leave_on_signals


def main() -> None:
    """Run the command line, and end the process with its exit status."""
    leave_on_signals()
    _open_standard_streams()
    from lucid_pipeline.cli.main import main

    main()


def _open_standard_streams() -> None:
    """Put something in the place of standard streams that are closed, before another file gets their numbers.

    What is written to standard output then fails, as on a full disk, where a command writes something; messages go
    nowhere.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
