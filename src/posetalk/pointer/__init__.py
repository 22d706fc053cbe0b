"""Any vision-language model asked for places on a body: forms of question and answer, scores, training data."""
