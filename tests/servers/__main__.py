"""`python -m tests.servers` builds the servers that tests use, before the time of any test runs.

What cannot be had is said in a line; the tests that need it are skipped.
"""

import sys

from tests.servers.go_programs import NotToBeHad, go_program
from tests.servers.mongodb import built_ferretdb, wants_ferretdb
from tests.servers.s3 import GATEWAY


def main() -> None:
    """See the module."""
    for what, build in (("a MongoDB server", _mongodb), ("an S3 server", lambda: go_program(*GATEWAY))):
        try:
            build()
        except NotToBeHad as error:
            print(f"tests that need {what} are skipped: {error}", file=sys.stderr)


def _mongodb() -> None:
    if wants_ferretdb():
        built_ferretdb()


if __name__ == "__main__":
    main()
