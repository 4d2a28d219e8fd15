"""Prepare the parts of the page: each takes the views, and returns data and drawings for the template."""
