"""Errors of the library and of PyTorch in the words of the command line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from resnet_cli.command_words import option
from resnet_cli.errors import Failure, UsageError, of_system
from resnet_lib.train import CheckpointError, NonFiniteLoss


@contextmanager
def expected() -> Iterator[None]:
    """Turn the errors whose message says all into a `Failure`; others keep their traceback."""
    try:
        yield
    except NonFiniteLoss as error:
        raise Failure(str(error), everywhere=True) from error
    except CheckpointError as error:
        raise Failure(str(error)) from error
    except (torch.OutOfMemoryError, MemoryError) as error:
        said = str(error).splitlines() or [type(error).__name__]
        text = f"out of memory ({said[0]}): try --micro-batches or a smaller batch"
        raise Failure(text) from error
    except Exception as error:
        if not _of_the_compiler(error):
            raise
        said = str(error).strip().splitlines() or [""]
        text = f"--compile failed ({type(error).__name__}: {said[0]})"
        raise Failure(text) from error


def _of_the_compiler(error: Exception) -> bool:
    module = sys.modules.get("torch._dynamo.exc")  # imported once something is compiled
    return module is not None and isinstance(error, module.TorchDynamoException)


def refusal(error: TypeError | ValueError) -> UsageError:
    """The refusal of an option, where the library refused the argument of that name."""
    about = vars(error)
    return UsageError(f"argument {option(about['argument'])}: {about['reason']}")


def in_words(error: Exception) -> str:
    """What the library says, and the option that stands for the argument that would help."""
    if isinstance(error, OSError):
        return of_system(error)
    remedy = getattr(error, "remedy", {})
    words = []
    for name, value in remedy.items():
        words += [option(name), *(value if isinstance(value, list | tuple) else [])]
    return f"{error}\nOn the command line: {' '.join(words)}" if words else str(error)
