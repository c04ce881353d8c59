"""Sessions as files: out, in, removed, and back after a crash."""
