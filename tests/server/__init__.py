"""Tests of denoise.server."""
