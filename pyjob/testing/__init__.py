"""Testing a job in process, on the road that a call over HTTP takes (docs/testing.md)."""

from pyjob.testing.client import JobClient

__all__ = ["JobClient"]
