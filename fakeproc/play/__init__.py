"""Scenarios: what happens on a machine, written down with its moments, and played."""
