"""The operations, thin: read a request, call a verb, answer as ALchemist does."""
