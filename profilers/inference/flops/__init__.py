"""The floating-point operations of a model: one formula for each operator, and the count of a pass."""
