"""The rules that the job's class is held to, each read from its text."""
