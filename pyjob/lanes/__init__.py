"""Threads under waitress: as many as calls hold, and some that are always free."""
