"""`python -m ecosel` is the console script."""

from ecosel.cli import main

main()
