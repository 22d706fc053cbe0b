"""Find the people in an image."""
