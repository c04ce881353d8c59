"""amlro.const: the names of the files."""

from labqueue_amlro.const import *
