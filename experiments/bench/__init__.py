"""What the experiments share: records, cases measured one by one, times and memory."""

import os

# The profiler reports its own start and stop on stderr; only its errors matter to a reader.
# It reads this when torch is imported, so it stands before the modules that do.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
