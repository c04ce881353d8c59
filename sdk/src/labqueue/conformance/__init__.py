"""For testing an adapter without a server and without hardware: a server in memory, and scenarios of faults."""

from .check import Finding, check_adapter
from .server import FakeServer

__all__ = ["FakeServer", "Finding", "check_adapter"]
