"""A live view of interrupts over CPUs, in a terminal or in a browser (`fakeproc top`).

Knows nothing of a guest but its files, and so shows a real computer as well.
`sources` reads, `rates` and `columns` work out what is to be shown, `heat_map`
draws, `actions` says which write a key stands for, `app` puts them together.
"""
