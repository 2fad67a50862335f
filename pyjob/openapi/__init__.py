"""A job as its callers read it: OpenAPI 3.1 (SPEC 4.1)."""
