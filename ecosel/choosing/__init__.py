"""Clean the rows of an archive, find the fronts, choose from them, and say how sure the choice is."""
