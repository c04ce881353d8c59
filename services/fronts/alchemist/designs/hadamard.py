"""Hadamard matrices: rows of 1 and -1 that are all orthogonal, of which Plackett-Burman designs are made.

Paley's two constructions (J. Math. Phys. 12 (1933) 311) for primes, and Sylvester's doubling.
"""

from __future__ import annotations

from functools import lru_cache

Matrix = tuple[tuple[int, ...], ...]


def order(least: int) -> int:
    """The smallest that is at least so large and that these constructions reach."""
    size = least
    while not _reached(size):
        size += 1
    return size


def hadamard(size: int) -> Matrix:
    """Of an order that is reached; its first column is 1."""
    found = _made(size)
    return tuple(tuple(row[0] * each for each in row) for row in found)


@lru_cache(maxsize=64)
def _made(size: int) -> Matrix:
    if size == 1:
        return ((1,),)
    if _first(size):
        return _paley(size - 1)
    if _second(size):
        return _paley_doubled(size // 2 - 1)
    half = _made(size // 2)
    return tuple(row + row for row in half) + tuple(row + tuple(-each for each in row) for row in half)


def _reached(size: int) -> bool:
    if size <= 2 or _first(size) or _second(size):
        return size > 0
    return size % 4 == 0 and _reached(size // 2)


def _first(size: int) -> bool:
    return size % 4 == 0 and _prime(size - 1)


def _second(size: int) -> bool:
    return size % 4 == 0 and (size // 2 - 1) % 4 == 1 and _prime(size // 2 - 1)


def _paley(prime: int) -> Matrix:
    rows = [(1,) * (prime + 1)]
    for row in range(prime):
        line = [_character(row - column, prime) for column in range(prime)]
        line[row] = 1
        rows.append((-1, *line))
    return tuple(rows)


def _paley_doubled(prime: int) -> Matrix:
    core = [(0, *(1,) * prime)]
    core += [(1, *(_character(row - column, prime) for column in range(prime))) for row in range(prime)]
    rows = []
    for line in core:
        pairs = [((1, -1), (-1, -1)) if each == 0 else ((each, each), (each, -each)) for each in line]
        rows += [tuple(each for pair in pairs for each in pair[half]) for half in (0, 1)]
    return tuple(rows)


def _character(number: int, prime: int) -> int:
    """1 for a square modulo the prime, -1 for none, 0 for 0."""
    power = pow(number % prime, (prime - 1) // 2, prime)
    return -1 if power == prime - 1 else power


def _prime(number: int) -> bool:
    return number > 1 and all(number % each for each in range(2, int(number**0.5) + 1))
