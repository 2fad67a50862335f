"""A built file at work: what runs inside of a .pex that `pyjob build` has made."""
