"""A place in a photo -> words for the place on a body."""
