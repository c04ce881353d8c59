"""The dataset: rows and tables that programs bring, and what they are shown of it."""
