"""Benchmarks: what the project costs in time, calls and memory, beside what a bare client takes in the same run."""
