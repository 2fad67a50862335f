"""What puts a job onto a machine or a cluster, made from its manifest; nothing of the job runs for it."""
