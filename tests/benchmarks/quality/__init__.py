"""Tests of benchmarks/quality."""
