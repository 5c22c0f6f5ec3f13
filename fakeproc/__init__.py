"""fakeproc: the /proc and /sys of a Linux guest on Hyper-V, as a live file system."""

__version__ = "0.1.0"
