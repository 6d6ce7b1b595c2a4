"""Benchmarks: commands that turn real or simulated data into the tables of docs/benchmarks.md."""
