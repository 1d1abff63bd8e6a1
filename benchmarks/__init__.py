"""Benchmarks, one module per stem; installed as `fastml.benchmarks` and run by `fastml bench`."""
