"""The rooms: each answers one kind of path, as one WSGI callable; no room knows another."""
