"""Read a meter from a background thread into a power trace, and keep the trace as a file."""
