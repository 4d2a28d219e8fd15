"""Find the rows and columns of a frame that can be compared: frames of any library, finished rows, one unit per column."""
