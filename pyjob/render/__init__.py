"""What others read of a job's metrics, made from one list of expressions: a dashboard, alert rules."""
