"""Tests of denoise.pictures."""
