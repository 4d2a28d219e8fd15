"""Clean the rows of an archive, find the fronts, choose from them, and determine how certain the choice is."""
