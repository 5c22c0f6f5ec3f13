"""A laboratory for balancers: a table of experiments, run cell by cell, measured exactly.

`schema` is what a file may say, `cell` runs one experiment in a guest of its own,
`measures` is what is worked out of it, `bench` runs the cells on many processes or
machines with Dask, `tables` writes the results and compares them, `report` draws.
"""
