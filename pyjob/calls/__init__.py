"""One call of the job from its slot to the end of its answer."""
