"""The rows and columns of a frame that can be compared: frames of any library, finished rows, numbers of one unit."""
