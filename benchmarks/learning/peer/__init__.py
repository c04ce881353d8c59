"""The peers' side: a program run by the peers' own Python. It imports numpy, the peer and the pure parts above."""

METHODS = ("optuna-tpe", "optuna-gp", "botorch", "bofire", "baybe", "ax")
