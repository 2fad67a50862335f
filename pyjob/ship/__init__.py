"""What leaves the machine: a job, its requirements and pyjob in one file (`pyjob build`)."""
