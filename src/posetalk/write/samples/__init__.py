"""Samples, and their export into the files that trainers read."""
