"""The search space: variables and constraints as programs give them, changed, and shown."""
