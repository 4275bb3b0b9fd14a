"""What can go wrong, in one line for a person and one number for a script."""

import re
import signal
import sys

DONE, FAILED, USAGE = 0, 1, 2
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

EXIT_STATUS = f"""\
exit status:
  {DONE}    done
  {FAILED}    failed: loss not finite, data, weights or checkpoints missing or damaged, disk
       full, out of memory
  {USAGE}    an option or its value is not allowed
  {INTERRUPTED}  stopped by Ctrl-C; a training has kept its state and printed how to go on
  {TERMINATED}  stopped by SIGTERM; likewise
  Under torchrun these are the workers' statuses; torchrun itself ends with 1."""


class UsageError(Exception):
    """What was asked for is not allowed. Every process finds that out."""


class Failure(Exception):
    """What was asked for is allowed, and cannot be done.

    `everywhere` says whether every process found that out.
    """

    everywhere = False


def in_one_line(error: BaseException) -> str:
    """What an expected error says, with the names of options in place of arguments."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = str(error) or type(error).__name__
    if _is_out_of_memory(error):
        return f"out of memory ({text.splitlines()[0]}): try --micro-batches or a smaller batch"
    if _is_compiler(error):
        return f"--compile failed ({type(error).__name__}: {text.strip().splitlines()[0]})"
    text = re.sub(r"leave_out=\['([^']*)'\]", r"--leave-out \1", text)
    return text.replace("skip_unreadable=True", "--skip-unreadable")


def is_expected(error: Exception) -> bool:
    """Whether the message says all, so that a traceback would only hide it."""
    if isinstance(error, Failure | OSError) or _is_out_of_memory(error) or _is_compiler(error):
        return True
    if "torch" not in sys.modules:
        return False
    # Imported by now, if these errors can be: importing them takes seconds.
    from resnet_lib.train import CheckpointError, NonFiniteLoss

    return isinstance(error, CheckpointError | NonFiniteLoss)


def is_common(error: BaseException) -> bool:
    """Whether all processes end with this, so that one of them is enough to tell."""
    kinds = ("KeyboardInterrupt", "NonFiniteLoss", "UsageError")
    return type(error).__name__ in kinds or getattr(error, "everywhere", False)


def _is_out_of_memory(error: BaseException) -> bool:
    # On a CPU it is a RuntimeError as any other.
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _is_compiler(error: BaseException) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
