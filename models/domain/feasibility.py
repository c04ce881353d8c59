"""Is there any point that a problem's constraints allow?"""

from __future__ import annotations

from labqueue.problem import Categorical, Discrete, Integer, Problem


def feasible(problem: Problem) -> bool:
    """Whether some point satisfies every bound and linear constraint, solved as a mixed-integer linear program.

    A discrete parameter is a choice of one of its values, so it enters as one binary variable per value.
    """
    if not problem.constraints:
        return True
    # Imported here: only a problem with constraints needs a solver.
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    low: list[float] = []
    high: list[float] = []
    whole: list[int] = []
    columns: dict[str, dict[int, float]] = {}
    choices: list[dict[int, float]] = []
    for each in problem.parameters:
        if isinstance(each, Categorical):
            continue
        if isinstance(each, Discrete):
            start = len(low)
            columns[each.name] = {start + number: value for number, value in enumerate(each.values)}
            choices.append(dict.fromkeys(columns[each.name], 1.0))
            low += [0.0] * len(each.values)
            high += [1.0] * len(each.values)
            whole += [1] * len(each.values)
        else:
            columns[each.name] = {len(low): 1.0}
            low.append(each.low)
            high.append(each.high)
            whole.append(1 if isinstance(each, Integer) else 0)
    rows: list[dict[int, float]] = [*choices]
    least = [1.0] * len(choices)
    most = [1.0] * len(choices)
    for constraint in problem.constraints:
        row: dict[int, float] = {}
        for name, factor in constraint.coefficients:
            for column, weight in columns[name].items():
                row[column] = row.get(column, 0.0) + factor * weight
        rows.append(row)
        least.append(-np.inf if constraint.operator == "<=" else constraint.bound)
        most.append(np.inf if constraint.operator == ">=" else constraint.bound)
    matrix = np.zeros((len(rows), len(low)))
    for number, row in enumerate(rows):
        for column, weight in row.items():
            matrix[number, column] = weight
    answer = milp(
        np.zeros(len(low)),
        integrality=np.array(whole),
        bounds=Bounds(np.array(low), np.array(high)),
        constraints=LinearConstraint(matrix, np.array(least), np.array(most)),
    )
    return bool(answer.status != 2)  # 2: proven infeasible
