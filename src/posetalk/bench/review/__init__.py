"""A person's check of the right answers."""
