"""What can go wrong, in words for a person and one number for a script."""

import signal

DONE, FAILED, USAGE = 0, 1, 2
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

EXIT_STATUS = f"""\
exit status:
  {DONE}    done
  {FAILED}    failed: loss not finite, data, weights or checkpoints missing or damaged, disk
       full, out of memory; of predict: a picture that cannot be read, the others are predicted
  {USAGE}    an option or its value is not allowed
  {INTERRUPTED}  stopped by Ctrl-C; a training has kept its state and printed how to go on
  {TERMINATED}  stopped by SIGTERM; likewise
  Under torchrun these are the workers' statuses; torchrun itself ends with 1."""


class UsageError(Exception):
    """What was asked for is not allowed. Every process finds that out."""


class Failure(Exception):
    """What was asked for is allowed, and cannot be done.

    Attributes:
        everywhere: whether every process found that out, so that one of them is enough to tell.
    """

    def __init__(self, text: str, *, everywhere: bool = False):
        super().__init__(text)
        self.everywhere = everywhere


def of_system(error: OSError) -> str:
    """What the operating system says went wrong, and where."""
    if error.strerror is None:
        return str(error)
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
