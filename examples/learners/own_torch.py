"""A small torch model of one's own: an ensemble of networks that may disagree. Its state is their weights; it takes
any problem, since candidates are drawn and scored.    labqueue serve-learner own_torch.py:Ensemble --campaign snar"""

import io
import math

import torch

from labqueue.learning import sample
from labqueue.problem import Categorical, Fixed

MEMBERS, HIDDEN, STEPS, DRAWN = 8, 32, 300, 400


class Ensemble:
    def __init__(self):
        self.versions = {"torch": torch.__version__}

    def train(self, problem, rows, state):
        torch.manual_seed(0)  # the same rows, the same networks
        known = [(row.parameters, value) for row in rows if (value := score(problem, row)) is not None]
        if not known:
            return b""
        x = torch.tensor([encode(problem, point) for point, _ in known])
        y = torch.tensor([value for _, value in known])
        mean, sd = y.mean(), y.std(correction=0).clamp_min(1e-6)
        networks = [torch.nn.Parameter(each) for each in fresh(x.shape[1])]
        steps = torch.optim.AdamW(networks, lr=0.02, weight_decay=0.01)
        for _ in range(STEPS):
            steps.zero_grad()
            loss = (predict(networks, x) - (y - mean) / sd).square().mean()
            loss.backward()
            steps.step()
        kept = io.BytesIO()
        torch.save([each.detach() for each in networks], kept)
        return kept.getvalue(), {"rmse": math.sqrt(loss.item()) * sd.item()}

    def suggest(self, problem, rows, pending, count, state, seed):
        free = sample(problem, DRAWN, seed, but=[*pending, *(row.planned for row in rows)])
        if not state:
            return free[:count]
        networks = torch.load(io.BytesIO(state), weights_only=True)
        scores = predict(networks, torch.tensor([encode(problem, each) for each in free]))
        found = []  # each candidate is the favourite of another member: Thompson sampling
        for member in range(seed, seed + min(count, len(free))):
            order = scores[member % MEMBERS].argsort(descending=True).tolist()
            found.append(next(free[place] for place in order if free[place] not in found))
        return [{"parameters": each, "reason": "a member of the ensemble likes it best"} for each in found]


def fresh(width):
    """Weights and biases of two layers, for all members at once."""
    shapes = [(width, HIDDEN, width), (1, HIDDEN, width), (HIDDEN, 1, HIDDEN), (1, 1, HIDDEN)]
    return [torch.randn(MEMBERS, rows, columns) / math.sqrt(scale) for rows, columns, scale in shapes]


def predict(networks, x):
    first, bias, second, last = networks
    return ((x @ first + bias).tanh() @ second + last).squeeze(-1)


def score(problem, row):
    """The mean of what is to be maximized; None where an output is missing."""
    values = problem.values({name: problem.output(name).encode(each) for name, each in row.outputs.items()})
    return None if values is None else math.fsum(values) / len(values)


def encode(problem, point):
    """Numbers from 0 to 1, and a 1 for each category; 0 for what does not exist here."""
    found = []
    for each in problem.planned:
        value = point.get(each.name)
        if isinstance(each, Categorical):
            found += [float(value == name) for name in each.categories]
        elif not isinstance(each, Fixed):
            ends = (each.low, each.high) if hasattr(each, "low") else (min(each.values), max(each.values))
            low, high, here = (math.log(one) if each.log else one for one in (*ends, value or ends[0]))
            found.append((here - low) / (high - low))
    return found
