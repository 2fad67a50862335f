"""Errors that a caller is answered by their kind: pyjob reads ``status_code``."""


class EntityNotFound(RuntimeError):  # noqa: N818  the name that jobs import
    """What the caller asked for is not there: 404."""

    status_code = 404


class AlreadyExists(RuntimeError):  # noqa: N818  the name that jobs import
    """What the caller wants made is there already: 409."""

    status_code = 409


class ValidationError(RuntimeError):
    """What the caller sent is wrong: 400."""

    status_code = 400
