"""What is built: which job, and which of its files."""
