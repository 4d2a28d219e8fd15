"""What tools of machine learning write: Optuna, MLflow, Ray Tune and others."""
