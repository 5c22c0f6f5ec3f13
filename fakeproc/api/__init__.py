"""The Python interface: everything public of it is a name in `fakeproc`."""
