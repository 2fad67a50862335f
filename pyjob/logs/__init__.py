"""What is told in the log, and in which form (SPEC 7). For a host's own logging: `ContextFilter`."""

from pyjob.logs.context_filter import ContextFilter

__all__ = ["ContextFilter"]
