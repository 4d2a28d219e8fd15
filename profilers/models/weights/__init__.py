"""Weights without a network: read them, find them in a checkpoint, put them into a network."""
