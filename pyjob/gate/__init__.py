"""Who runs and who waits: calls are let in in the order of their arrival."""
