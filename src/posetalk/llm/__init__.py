"""Asking language models: many requests at once, none lost, none paid twice. Knows nothing of poses."""
