"""A session: the document that it is, its campaign, who holds it, and its audit log."""
