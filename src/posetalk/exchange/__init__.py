"""Labels of other programs and data sets, read and written."""
