"""Checking a job before it runs: what its author would otherwise find out later (rules in docs/rules.md)."""
