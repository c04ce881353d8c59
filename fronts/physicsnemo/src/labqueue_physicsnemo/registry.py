"""Strategies by name, as PhysicsNeMo's registry keeps them."""

from __future__ import annotations

import importlib
from typing import Any, Callable, TypeVar

Kind = TypeVar("Kind", bound=type)


class Registry:
    """Classes that registered themselves, and those of any module that is named with them."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def register(self, cls_name: str) -> Callable[[Kind], Kind]:
        """A decorator. Raises ValueError for a name that another class has."""

        def keep(kind: Kind) -> Kind:
            if self._classes.get(cls_name, kind) is not kind:
                raise ValueError(f"{cls_name!r} is {self._classes[cls_name]!r} already.")
            self._classes[cls_name] = kind
            return kind

        return keep

    def get_class(self, cls_name: str, module_path: str | None = None) -> type:
        """Raises KeyError for an unknown name where no module is given, or where it lacks that name."""
        if cls_name in self._classes:
            return self._classes[cls_name]
        found = None if module_path is None else getattr(importlib.import_module(module_path), cls_name, None)
        if not isinstance(found, type):
            raise KeyError(
                f"No class {cls_name!r} is registered. Registered: {', '.join(self.registered_names)}."
            )
        return found

    def construct(self, cls_name: str, module_path: str | None = None, **kwargs: Any) -> Any:
        return self.get_class(cls_name, module_path)(**kwargs)

    def is_registered(self, cls_name: str) -> bool:
        return cls_name in self._classes

    def __getitem__(self, cls_name: str) -> type:
        return self.get_class(cls_name)

    @property
    def registered_names(self) -> list[str]:
        return sorted(self._classes)


registry = Registry()
