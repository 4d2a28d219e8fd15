"""Read the cells of a messy column as numbers: percent signs, units, errors, decimal commas."""
