"""Jobs of Racetrack's job runner, unchanged."""
