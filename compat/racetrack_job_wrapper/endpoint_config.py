"""Items of `auxiliary_endpoints_v2`."""

from pyjob import EndpointConfig

__all__ = ["EndpointConfig"]
