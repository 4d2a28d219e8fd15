"""Run the console script as `python -m ecosel`."""

from ecosel.cli import main

main()
