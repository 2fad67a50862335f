"""Who is let in: tokens and public endpoints (SPEC 8)."""
