"""A nucleophilic aromatic substitution in a flow reactor, computed from its published kinetics.

2,4-difluoronitrobenzene (1) and pyrrolidine (2) give the ortho product (3), which is wanted, and the para product
(4); both go on to the bis product (5). The plug-flow reactor is integrated over the residence time.
Kinetics: Hone et al., React. Chem. Eng. 2017, 2, 103-108, DOI 10.1039/C6RE00109B.

    echo '{"tau": 1, "equiv_pldn": 2, "conc_dfnb": 0.3, "temperature": 60}' | python -m examples.snar.model

reads the parameters from standard input and writes the outputs to standard output, both as JSON.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

GAS_CONSTANT = 8.314e-3  # kJ/mol/K
ZERO_CELSIUS = 273.15  # K
REFERENCE = 90 + ZERO_CELSIUS  # K, where the rate constants were fitted
RATES = (57.9, 2.70, 0.865, 1.63)  # 1e-2 M-1 s-1 at the reference, steps a to d
ENERGIES = (33.3, 35.3, 38.9, 44.8)  # kJ/mol, steps a to d
MOLAR_MASSES = np.array([159.09, 71.12, 210.21, 210.21, 261.33])  # g/mol, species 1 to 5
VOLUME = 5.0  # mL
ETHANOL = 0.789  # g/mL
E_FACTOR_LIMIT = 1000.0  # hardly any product: the figure would grow without bound


def measure(parameters: Mapping[str, Any]) -> dict[str, float]:
    """The space-time yield `sty` (kg m-3 h-1) and `e_factor` (kg waste per kg product) of one run.

    Parameters: `tau`, residence time in min; `equiv_pldn`, equivalents of pyrrolidine; `conc_dfnb`, inlet
    concentration in mol/L; `temperature` in degC. Raises KeyError where one is missing.
    """
    tau, conc = float(parameters["tau"]), float(parameters["conc_dfnb"])
    rates = _rate_constants(float(parameters["temperature"]))
    inlet = np.array([conc, conc * float(parameters["equiv_pldn"]), 0.0, 0.0, 0.0])
    solution = solve_ivp(_change, (0.0, tau), inlet, method="LSODA", args=(rates,), rtol=1e-9, atol=1e-12)
    if not solution.success:
        raise ArithmeticError(f"The reactor could not be integrated: {solution.message}")
    outlet = np.clip(solution.y[:, -1], 0.0, None)
    product = MOLAR_MASSES[2] * outlet[2]  # g/L
    flow = VOLUME / tau  # mL/min
    waste = flow * ETHANOL + 1e-3 * flow * (float(MOLAR_MASSES @ outlet) - product)  # g/min
    made = 1e-3 * flow * product  # g/min
    e_factor = min(waste / made, E_FACTOR_LIMIT) if made > 0 else E_FACTOR_LIMIT
    return {"sty": float(60 * product / tau), "e_factor": float(e_factor)}


def _rate_constants(celsius: float) -> tuple[float, ...]:
    """In M-1 min-1, steps a to d."""
    inverse = 1 / (celsius + ZERO_CELSIUS) - 1 / REFERENCE
    return tuple(
        0.6 * rate * math.exp(-energy / GAS_CONSTANT * inverse)
        for rate, energy in zip(RATES, ENERGIES, strict=True)
    )


def _change(_time: float, c: Any, rates: tuple[float, ...]) -> list[float]:
    """Change of the five concentrations, in M/min."""
    a, b, c3, d = (
        rates[0] * c[0] * c[1],
        rates[1] * c[0] * c[1],
        rates[2] * c[2] * c[1],
        rates[3] * c[3] * c[1],
    )
    return [-a - b, -a - b - c3 - d, a - c3, b - d, c3 + d]


def main() -> int:
    try:
        parameters = json.load(sys.stdin)
        outputs = measure(parameters)
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        sys.stderr.write(f"The parameters cannot be run: {error!r}\n")
        return 1
    json.dump(outputs, sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
