"""Record a measurement: the profile of a model, its row in an archive, its text."""
