"""The body of a request: from bytes to the arguments of a call (SPEC 4.3, 4.8)."""
