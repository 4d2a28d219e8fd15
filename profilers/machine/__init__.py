"""What the machine gives to this process, and what this process sends out: time on processors, standard output."""
