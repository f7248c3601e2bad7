"""What is trained: architecture only, no losses."""

from unweave.networks.bodies import Body as Body
from unweave.networks.bodies import set_channels_last as set_channels_last
from unweave.networks.bodies import set_precision as set_precision
from unweave.networks.conv import Conv as Conv
from unweave.networks.critic import Critic as Critic
from unweave.networks.critic import Judged as Judged
from unweave.networks.critic import detached as detached
from unweave.networks.grouped import GroupedVAE as GroupedVAE
from unweave.networks.hierarchical import SpacesVAE as SpacesVAE
from unweave.networks.mlp import MLP as MLP
from unweave.networks.model import Model as Model
from unweave.networks.vae import VAE as VAE

BODIES = {"conv": Conv, "mlp": MLP}
