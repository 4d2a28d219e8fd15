"""Read weights without a network, find them in a checkpoint, and load them into a network."""
