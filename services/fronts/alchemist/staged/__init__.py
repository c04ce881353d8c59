"""What is on its way: staged, completed one by one or as a list, and outputs that fit no list."""
