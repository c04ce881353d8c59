"""A learner of your own: a class that trains and suggests, served to a campaign from wherever it runs.

import labqueue

class Mine:
    def train(self, problem, rows, state):        # -> state, or (state, metrics); may be left out
        ...
    def suggest(self, problem, rows, pending, count, state, seed):
        ...       # -> list of points, or {"candidates": list of points, "gain": number}

labqueue.serve_learner(Mine(), campaign="snar")
"""

from .pools import Column, Features, features
from .pupil import LearnerError, Row
from .samples import sample
from .serve import Taught, serve_learner

__all__ = [
    "Column",
    "Features",
    "LearnerError",
    "Row",
    "Taught",
    "features",
    "sample",
    "serve_learner",
]
