"""One connection: its requests, their answers, and where a call waits on it."""
