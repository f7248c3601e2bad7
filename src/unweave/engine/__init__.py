"""How it is trained: knows no method by name."""

from unweave.engine.codes import encode as encode
from unweave.engine.experiment import Complete as Complete
from unweave.engine.experiment import Experiment as Experiment
from unweave.engine.experiment import from_json as from_json
from unweave.engine.experiment import to_json as to_json
from unweave.engine.experiment import vary as vary
from unweave.engine.pack import pack as pack
from unweave.engine.plan import Plan as Plan
from unweave.engine.plan import plan as plan
from unweave.engine.step import Failure as Failure
from unweave.engine.train import Snapshot as Snapshot
from unweave.engine.train import train as train
