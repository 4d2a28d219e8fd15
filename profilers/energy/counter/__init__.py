"""Find the ticks of an energy counter, and the energy of a window between them."""
