"""Find one normal form for all genomes that compute the same function, and the slots that it does not need."""
