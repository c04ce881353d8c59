"""Designs of experiments that a program may ask for; what fills a space is made by a worker."""
