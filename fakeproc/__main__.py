"""`python -m fakeproc` is the command `fakeproc`."""

from fakeproc.cli import main

main()
