"""Who invited whom in another system: reading the file, and where everybody stands in the tree."""
