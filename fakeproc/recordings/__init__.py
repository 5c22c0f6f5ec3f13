"""Recordings of machines: taken, read, and turned into profiles.

A recording is the texts of a machine's /proc and /sys, wherever they come from:
`record.py` takes one, `sources.py` reads those that people have.
"""
