"""The questions of a benchmark."""
