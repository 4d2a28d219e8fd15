"""Read existing power logs, and turn windows of them into joules."""
