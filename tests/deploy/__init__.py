"""Tests of `deploy` and of the Compose file."""
