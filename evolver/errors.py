"""What evolver raises when the world fails; a wrong argument is a ValueError."""


class EvolverError(Exception):
    """A search cannot start, continue, or keep its results."""
