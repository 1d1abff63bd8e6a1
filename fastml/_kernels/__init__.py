"""The compiled kernels.

setup.py links the modules of this folder into one file, and those of step/ into another. The wheel is an eighth smaller
by it, and the import opens two files instead of 32. Rejected: one file for both folders, which have modules of the same
name.
"""

import sys
from functools import cache
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder


@cache
def _file(package):
    """The file with the modules of a folder, or None."""
    found = PathFinder.find_spec(f"{package}._modules", sys.modules[package].__path__)
    return found and found.origin


class _Loader(ExtensionFileLoader):
    """Loads a kernel. What its folder's file does not hold is no module, as anywhere else."""

    def create_module(self, spec):
        try:
            return super().create_module(spec)
        except ImportError as error:
            if "PyInit" in str(error):  # the function that the interpreter looks for in the file
                raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name) from None
            raise


class _Finder:
    """Finds a kernel in its folder's file. The last finder: it is asked for what has no file of its own."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        package = name.rpartition(".")[0]
        file = _file(package) if package in (__name__, f"{__name__}.step") else None
        return file and ModuleSpec(name, _Loader(name, file), origin=file)


sys.meta_path.append(_Finder)
