"""Text from facts and captions, without a model."""
