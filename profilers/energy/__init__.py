"""Turn readings of a meter and windows of work into joules per image, with an interval."""
