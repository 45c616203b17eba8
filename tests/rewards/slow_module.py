"""Takes longer to import than the tests' time limit."""

import time

SECONDS = 1.5
time.sleep(SECONDS)
