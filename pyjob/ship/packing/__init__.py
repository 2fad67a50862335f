"""The parts of a built file, and the file."""
