"""Calling jobs over HTTP: from a program, and from one job to the next (docs/client.md, docs/chain.md)."""
