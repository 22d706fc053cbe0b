"""What a language model is told, and reading its reply."""
