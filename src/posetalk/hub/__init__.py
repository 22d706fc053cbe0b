"""The Hugging Face hub: cards that it reads, and uploads."""
