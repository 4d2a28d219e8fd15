"""Read files that hold several tables: databases and workbooks."""
