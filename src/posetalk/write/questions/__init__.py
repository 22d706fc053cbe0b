"""Questions with one right answer, which facts give; the benchmark and the kind `short` ask them."""
