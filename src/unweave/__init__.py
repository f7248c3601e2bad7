"""unweave: disentangled representation learning.

>>> import unweave
>>> run = unweave.fit("beta-vae", "triangle", steps=2, batch=4, network=unweave.MLP((8,)))
>>> codes = run.codes(100)
"""

from unweave.data import DATASETS as DATASETS
from unweave.data import Dataset as Dataset
from unweave.data import DataSpec as DataSpec
from unweave.data import DSprites as DSprites
from unweave.data import Factors as Factors
from unweave.data import Images as Images
from unweave.data import Triangle as Triangle
from unweave.engine import Experiment as Experiment
from unweave.engine import pack as pack
from unweave.engine import train as train
from unweave.methods import DEFT as DEFT
from unweave.methods import DIPVAE1 as DIPVAE1
from unweave.methods import DIPVAE2 as DIPVAE2
from unweave.methods import HFVAE as HFVAE
from unweave.methods import METHODS as METHODS
from unweave.methods import NVAE as NVAE
from unweave.methods import VAE as VAE
from unweave.methods import AdaGVAE as AdaGVAE
from unweave.methods import AdaMLVAE as AdaMLVAE
from unweave.methods import AnnealedVAE as AnnealedVAE
from unweave.methods import BetaSTCVAE as BetaSTCVAE
from unweave.methods import BetaTCVAE as BetaTCVAE
from unweave.methods import BetaVAE as BetaVAE
from unweave.methods import BHiVAE as BHiVAE
from unweave.methods import BHiVAESupervised as BHiVAESupervised
from unweave.methods import CascadeVAEC as CascadeVAEC
from unweave.methods import ControlVAE as ControlVAE
from unweave.methods import DeVAE as DeVAE
from unweave.methods import DynamicVAE as DynamicVAE
from unweave.methods import FactorVAE as FactorVAE
from unweave.methods import GuidedVAE as GuidedVAE
from unweave.methods import GuidedVAESupervised as GuidedVAESupervised
from unweave.methods import InfoGAN as InfoGAN
from unweave.methods import InfoVAE as InfoVAE
from unweave.methods import Method as Method
from unweave.methods import RecurD as RecurD
from unweave.methods import VampPrior as VampPrior
from unweave.metrics import DCI as DCI
from unweave.metrics import METRICS as METRICS
from unweave.metrics import MIG as MIG
from unweave.metrics import SAP as SAP
from unweave.metrics import FactorVAEScore as FactorVAEScore
from unweave.metrics import Metric as Metric
from unweave.metrics import Reconstruction as Reconstruction
from unweave.networks import MLP as MLP
from unweave.networks import Conv as Conv
from unweave.run import Run as Run
from unweave.run import fit as fit
from unweave.run import load as load
from unweave.types import Adam as Adam
from unweave.types import Batch as Batch
from unweave.types import Codes as Codes
from unweave.types import Draw as Draw
from unweave.types import Gaussian as Gaussian
from unweave.types import Loss as Loss
from unweave.types import Rate as Rate
from unweave.types import Reference as Reference
from unweave.types import Score as Score
from unweave.types import UserError as UserError

__version__ = "0.1.0"
