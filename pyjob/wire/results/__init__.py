"""What a call returned, as an answer (SPEC 4.5, 4.8)."""
