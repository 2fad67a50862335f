"""Asking git: a program that may be missing, slow, or set up by somebody hostile."""
