"""Many jobs: what is to be done, on which machines, and what came of it."""

from unweave.sweep.driver import Standing as Standing
from unweave.sweep.driver import perform as perform
