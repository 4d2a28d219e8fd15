"""Change the layers of a network: a network → a network that computes the same, or nearly the same, with less."""
