"""Tests of denoise.bulk."""
