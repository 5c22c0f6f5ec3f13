"""The VMBus drivers of a distribution's kernel, one module each.

A driver is data where drivers differ by data (which classes, how large a
ring), and a subclass where they differ by behaviour: which name a channel's
interrupt gets (patches 4 and 5 of the series), which ones want sub-channels.
"""
