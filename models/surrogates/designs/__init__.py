"""The designs of experiments, a file for each way in which they are made. `models.surrogates.design` is the door."""
