"""Tests of denoise.web."""
