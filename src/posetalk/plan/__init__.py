"""What a run needs before it is run: parameters, memory, operations, days. Nothing is loaded, no weights exist."""
