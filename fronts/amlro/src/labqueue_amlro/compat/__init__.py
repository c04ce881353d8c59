"""The modules that AMLRO's programs import; `labqueue_amlro.install` gives them AMLRO's names."""

from __future__ import annotations
