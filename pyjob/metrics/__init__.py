"""What is told to Prometheus: of calls, of the gate, and by the job itself."""
