"""Tests of the operator against a real API server. Files are named after the behaviour; `python3 -m tests.kubernetes` runs them."""
