"""Charts of a selection, and the one offline page that shows it: charts is the library, page the file."""
