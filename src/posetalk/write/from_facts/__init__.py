"""The writer that needs no model: text from facts and captions."""
