"""The page that shows what was written."""
