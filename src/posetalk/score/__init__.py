"""Predictions -> numbers: `evaluate`, and the report it gives."""
