"""Stands before pip in the programs that the code starts: what fails for want of a network says so in a sentence."""

import os
import runpy
import sys
from types import ModuleType

SENTENCE = (
    "There is no network here, so nothing can be installed. "
    "Use the packages that are there (`pip list` names them) or the standard library."
)


def step_aside() -> None:
    """Let imports find pip itself from now on."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    sys.modules.pop("pip", None)


def real() -> ModuleType:
    """Pip itself."""
    step_aside()
    import pip

    return pip


def main() -> int:
    """Run pip; where that fails, say why it had to."""
    step_aside()
    try:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
        code: object = 0
    except SystemExit as end:
        code = end.code
    except ImportError as error:
        print(error, file=sys.stderr)  # noqa: T201
        code = 1
    if code in (0, None):
        return 0
    if {"install", "download", "wheel", "index", "search"} & set(sys.argv):
        print(SENTENCE, file=sys.stderr)  # noqa: T201
    return code if isinstance(code, int) else 1


if __name__ == "__main__":
    sys.exit(main())
else:
    sys.modules[__name__] = real()
