"""What a job reports of itself, as a page can carry it."""
