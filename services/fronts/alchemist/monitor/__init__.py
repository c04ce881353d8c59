"""A session as people watch it, and what they decide."""
