"""Answers of models, and a judge's scores."""
