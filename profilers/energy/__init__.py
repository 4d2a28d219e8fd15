"""Turn a meter's readings and windows of work into joules per image, with an interval."""
