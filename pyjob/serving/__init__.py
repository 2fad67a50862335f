"""One process that serves: sockets, sizes, signals."""
