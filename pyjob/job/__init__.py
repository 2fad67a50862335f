"""The job as its author wrote it: found, loaded, read once."""
