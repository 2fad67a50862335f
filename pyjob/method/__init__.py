"""One method of a job: its parameters, how calls are bound to them, and what is told of them."""
