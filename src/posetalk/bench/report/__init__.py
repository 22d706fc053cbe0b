"""Numbers, tables and pages."""
