"""The cells of a messy column as numbers: signs of their own, units, errors, decimal commas."""
