"""Samples, and the files that trainers read."""
