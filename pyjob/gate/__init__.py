"""Who runs and who waits: admission in order of arrival, and the doors by which calls come to it."""
