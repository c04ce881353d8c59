"""Designs of experiments that a program for ALchemist may ask for, beside those that Labqueue's workers make."""
