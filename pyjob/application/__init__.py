"""One job as a WSGI application, from its first request to its end."""

from pyjob.application.application import Application

__all__ = ["Application"]
