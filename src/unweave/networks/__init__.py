"""What is trained: architecture only, no losses."""

from unweave.networks.blocks import BlocksVAE as BlocksVAE
from unweave.networks.bodies import Body as Body
from unweave.networks.bodies import set_channels_last as set_channels_last
from unweave.networks.bodies import set_precision as set_precision
from unweave.networks.conv import Conv as Conv
from unweave.networks.critic import Critic as Critic
from unweave.networks.critic import Judged as Judged
from unweave.networks.critic import detached as detached
from unweave.networks.gan import DCGAN as DCGAN
from unweave.networks.gan import CodedGAN as CodedGAN
from unweave.networks.grouped import GroupedVAE as GroupedVAE
from unweave.networks.guided import LabelledVAE as LabelledVAE
from unweave.networks.guided import LightVAE as LightVAE
from unweave.networks.hierarchical import SpacesVAE as SpacesVAE
from unweave.networks.mlp import MLP as MLP
from unweave.networks.model import Model as Model
from unweave.networks.nvae import TopDownVAE as TopDownVAE
from unweave.networks.pairs import PairCritic as PairCritic
from unweave.networks.pairs import PairDensity as PairDensity
from unweave.networks.recursive import RecursiveVAE as RecursiveVAE
from unweave.networks.softplus import SoftplusVAE as SoftplusVAE
from unweave.networks.vae import VAE as VAE
from unweave.networks.vamp import VampVAE as VampVAE

BODIES = {"conv": Conv, "dcgan": DCGAN, "mlp": MLP}
