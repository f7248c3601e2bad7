"""What is optimised: one method a file."""

from unweave.methods.base import Method as Method
from unweave.methods.base import Preset as Preset
from unweave.methods.beta_vae import BetaVAE as BetaVAE
from unweave.methods.control_vae import ControlVAE as ControlVAE
from unweave.methods.deft import DEFT as DEFT
from unweave.methods.devae import DeVAE as DeVAE
from unweave.methods.factor_vae import FactorVAE as FactorVAE
from unweave.methods.vae import VAE as VAE

METHODS: dict[str, type[Method]] = {one.name: one for one in (VAE, BetaVAE, FactorVAE, ControlVAE, DeVAE, DEFT)}
