"""Tokens and approvals in a file: read by servers, written by `pyjob access` (SPEC 8.4)."""
