"""From the path of a request to the room that answers it (SPEC 4.1)."""
