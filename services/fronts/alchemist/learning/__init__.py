"""What workers answer: models, suggestions, predictions, and the numbers behind plots."""
