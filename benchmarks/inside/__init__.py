"""pyjob looked at from inside: what a call costs by part, as things grow, and after many of them."""
