"""The error that evolver raises for outside failures; a wrong argument is a ValueError."""


class EvolverError(Exception):
    """A search cannot start, continue, or keep its results."""
