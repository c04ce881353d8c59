"""A learner of your own: a class that trains and suggests, served to a campaign from wherever it runs.

import labqueue

class Mine:
    def train(self, problem, rows, state):        # -> state, or (state, metrics); may be left out
        ...
    def suggest(self, problem, rows, pending, count, state, seed):    # -> list of points
        ...

labqueue.serve_learner(Mine(), campaign="snar")
"""

from .pupil import LearnerError, Row
from .samples import sample
from .serve import Taught, serve_learner

__all__ = ["LearnerError", "Row", "Taught", "sample", "serve_learner"]
