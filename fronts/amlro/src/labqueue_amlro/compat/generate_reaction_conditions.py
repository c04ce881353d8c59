"""amlro.generate_reaction_conditions: programs import by a star, and use what comes along, so each module has all names."""

from labqueue_amlro.compat.names import *
