"""Tests of denoise.inference."""
