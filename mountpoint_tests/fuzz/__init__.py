"""Random operations on random guests, and what must hold after each of them.

`scripts/fuzz` runs it for as long as wanted; `test_fuzz.py` runs a sample.  A
life is one guest, from its boot through some hundred random requests.  A life
follows from its profile, its kernel and its seed alone, so a life that fails
can be run again.
"""
