"""Requests to language models: many at once, each answer stored, none paid for twice. Knows nothing of poses."""
