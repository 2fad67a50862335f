"""`python -m pyjob`."""

import sys

from pyjob.cli import main

if __name__ == "__main__":
    sys.exit(main())
