"""Write the parts of the page as HTML: each takes the view and returns a Section."""
