"""Run jobs in child processes, on local devices or a cluster."""
