"""What is wrong with a sample."""
