"""The race that `benchmarks/run` holds: contenders beside each other, on one machine, in turns."""
