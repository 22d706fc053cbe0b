"""The prompts for a language model, and the parser of its replies."""
