"""Logging, and errors that answer by their kind."""
