"""What a built file runs once it is unpacked: `python -m pyjob.bundle FILE ARGUMENT ...`."""

import sys

from pyjob.bundle.entry import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
