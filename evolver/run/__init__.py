"""Begin or resume a search, and keep every worker busy until its budget is spent."""
