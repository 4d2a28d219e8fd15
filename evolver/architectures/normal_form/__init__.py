"""One normal form of all genomes that compute the same function, and the slots that it does not need."""
