"""The screening of samples: rules, claims and duplicates."""
