"""Many jobs: what is to be done, on which machines, and what came of it."""

from unweave.sweep.driver import Standing as Standing
from unweave.sweep.driver import perform as perform
from unweave.sweep.grid import Grid as Grid
from unweave.sweep.grid import chain as chain
from unweave.sweep.grid import experiments as experiments
from unweave.sweep.grid import fixed as fixed
from unweave.sweep.grid import product as product
from unweave.sweep.grid import zipped as zipped
from unweave.sweep.planning import Plan as Plan
from unweave.sweep.planning import plan as plan
from unweave.sweep.toml import Sweep as Sweep
from unweave.sweep.toml import read as read
