"""The author's code, read as text: nothing of it is imported or run."""
