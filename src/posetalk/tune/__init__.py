"""Conversations about bodies -> a vision-language model that has learned from them."""
