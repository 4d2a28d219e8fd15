"""Files that hold several tables: databases and workbooks."""
