"""What the framework asks of a network, and nothing more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from unweave.networks.likelihoods import distortion
from unweave.types import Gaussian


class Model(nn.Module, ABC):
    """Images to latents and back. A method may call anything else that its own network offers.

    ``latents`` is the size D of a code; ``likelihood`` names the distortion; ``spaces`` counts latent spaces that can
    be asked for by number; ``blocks`` lists the latents that form one code together (empty: each its own);
    ``correlated`` says that the prior correlates them within a block, so that pictures move them together.
    """

    latents: int
    likelihood: str
    spaces: int = 1
    blocks: tuple[tuple[int, ...], ...] = ()
    correlated: bool = False

    @abstractmethod
    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        """(N, C, H, W) images -> q(z|x) with (N, D) means and log-variances."""

    def sample(self, x: Tensor, q: Gaussian, noise: Tensor, space: int = 0) -> Tensor:
        """(N, D) codes drawn from q = ``encode(x, space)`` with standard normal noise, as the decoder learned to read
        them."""
        return q.sample(noise)

    def rate(self, x: Tensor, q: Gaussian, z: Tensor, space: int = 0) -> Tensor | None:
        """(N,) KL(q(z|x) ‖ p(z)) in nats of models whose prior is not N(0, I), where the codes z = ``sample(x, q, …)``
        take the place of an expectation that has no closed form; None where the prior is N(0, I)."""
        return None

    @abstractmethod
    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        """(N, D) codes -> (N, C, H, W) logits; a sigmoid makes an image of them."""

    def prior(self, draws: Tensor) -> Tensor:
        """(N, D) standard normals -> codes from the prior; the normals themselves for N(0, I)."""
        return draws

    def distortion(self, logits: Tensor, x: Tensor) -> Tensor:
        """(N,) reconstruction error of each image, summed over pixels (see ``networks.likelihoods``)."""
        return distortion(self.likelihood, logits, x)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        """Intermediate representations by layer name; none unless the network offers them."""
        return {}

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """A partition of the parameter names; each group has its own optimiser settings and rates."""
        return {"all": tuple(name for name, _ in self.named_parameters())}

    def spare(self) -> tuple[str, ...]:
        """Names of parameters that only training needs, such as critics: a shared model goes without them."""
        return ()


def submodules(model: nn.Module, *children: str) -> tuple[str, ...]:
    """Names of all parameters below the named children, for ``Model.groups``."""
    return tuple(name for name, _ in model.named_parameters() if name.split(".")[0] in children)
