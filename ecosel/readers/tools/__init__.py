"""Read the results of machine-learning tools: Optuna, MLflow, Ray Tune and others."""
