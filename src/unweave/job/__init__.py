"""One unit of work that is never done twice: train and measure a model, or anything else that gives numbers."""

from unweave.analysis.cost import Cost as Cost
from unweave.job.base import Arrays as Arrays
from unweave.job.base import Job as Job
from unweave.job.base import Measure as Measure
from unweave.job.base import Result as Result
from unweave.job.base import Told as Told
from unweave.job.base import Values as Values
from unweave.job.base import digest as digest
from unweave.job.base import once as once
from unweave.job.base import quiet as quiet
from unweave.job.measures import HeldOutELBO as HeldOutELBO
from unweave.job.measures import Scores as Scores
from unweave.job.measures import Terms as Terms
from unweave.job.training import Training as Training
from unweave.job.training import together as together
