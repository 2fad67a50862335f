"""The bare function on waitress: `python on_waitress.py PORT`."""

from __future__ import annotations

import logging
import sys

import waitress
from bare import bare

# A line for each call that waits for a thread: the yardstick is not to pay for what the others leave out.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)
waitress.serve(bare, host="127.0.0.1", port=int(sys.argv[1]), threads=8)
