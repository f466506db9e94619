"""Tests of denoise.cli."""
