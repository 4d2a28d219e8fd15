"""What the machine gives to this process: time on its processors."""
