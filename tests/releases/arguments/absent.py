"""Stand-ins for packages that are not installed: whatever is asked of them is a class.

It can be derived from, called, subscripted and used as a decorator. That is enough for programs
that read their command line before they compute anything.
"""

import importlib.abc
import importlib.machinery
import sys
import types


class Anything(type):
    """The class of the classes."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return made(name)

    def __call__(cls, *_, **__):
        return made(cls.__name__)

    def __getitem__(cls, _):
        return cls

    def __iter__(cls):
        return iter(())


def made(name):
    return type.__new__(Anything, name, (), {})


class Module(types.ModuleType):
    """A package of which nothing is known."""

    __version__ = "99.0"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return made(name)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds these packages and all modules in them."""

    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        pass


def install(names):
    """Let programs import these packages."""
    sys.meta_path.insert(0, Finder(names))
