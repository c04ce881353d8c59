"""Every flow contract runs on the fake store and on the real one."""

from __future__ import annotations

import pytest
from flow_lab import Lab
from store_world import World


@pytest.fixture
def lab(world: World) -> Lab:
    return Lab(world)
