"""Show a selection as one offline HTML page, or as a static figure; `charts` is the library."""
