"""ASGI applications (FastAPI, Starlette) behind WSGI servers, with a2wsgi as the bridge."""

from pyjob.wire.asgi.application import AsgiApplication, is_asgi

__all__ = ["AsgiApplication", "is_asgi"]
