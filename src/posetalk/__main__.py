"""`python -m posetalk`."""

from posetalk.cli import main

main()
