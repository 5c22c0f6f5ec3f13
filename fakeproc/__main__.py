"""`python -m fakeproc` is the command `fakeproc`."""

from fakeproc.cli.main import main

main()
