"""`python -m racetrack_job_wrapper`."""

import sys

from racetrack_job_wrapper.main import main

if __name__ == "__main__":
    sys.exit(main())
