"""Benchmarks: the time, calls and memory of the project, compared with a bare client in the same run."""
