"""Count the floating-point operations of a model: a formula for each operator, and the count of a pass."""
