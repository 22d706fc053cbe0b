"""Does a model understand bodies? Questions made from facts, references to be judged against, and the numbers."""
