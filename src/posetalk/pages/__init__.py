"""HTML pages: templates with shared parts, and how they are filled in."""
