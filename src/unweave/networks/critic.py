"""Critics: networks that only judge codes, trained beside the model and never through it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call

from unweave.networks.bodies import Trunk
from unweave.networks.model import Model, submodules
from unweave.networks.spectral import SpectralLinear
from unweave.types import Gaussian


class Critic(nn.Module):
    """Dense layers with leaky ReLUs (slope 0.2): (N, inputs) -> (N, outputs) logits.

    Args:
        layers: number of hidden layers, each ``hidden`` wide (FactorVAE: 6 of 1000).
        spectral: divide the weights of every layer by their largest singular value.
    """

    def __init__(
        self, inputs: int, outputs: int = 2, hidden: int = 1000, layers: int = 6, spectral: bool = False
    ) -> None:
        super().__init__()
        dense = SpectralLinear if spectral else nn.Linear
        stack: list[nn.Module] = []
        for _ in range(layers):
            stack += [dense(inputs, hidden), nn.LeakyReLU(0.2)]
            inputs = hidden
        self.trunk = Trunk(nn.Sequential(*stack))
        self.head = dense(inputs, outputs)

    def forward(self, z: Tensor) -> Tensor:
        return self.head(self.trunk(z).to(self.head.weight.dtype))


class Judged(Model):
    """A model with critics beside it, in parameter groups ``model`` and ``critic``."""

    def __init__(self, model: Model, **critics: nn.Module) -> None:
        super().__init__()
        self.latents, self.likelihood = model.latents, model.likelihood
        self.spaces, self.blocks, self.correlated = model.spaces, model.blocks, model.correlated
        self.model = model
        self.critics = nn.ModuleDict(critics)

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return self.model.encode(x, space)

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.model.decode(z, space)

    def sample(self, x: Tensor, q: Gaussian, noise: Tensor, space: int = 0) -> Tensor:
        return self.model.sample(x, q, noise, space)

    def rate(self, x: Tensor, q: Gaussian, z: Tensor, space: int = 0) -> Tensor | None:
        return self.model.rate(x, q, z, space)

    def distortion(self, logits: Tensor, x: Tensor) -> Tensor:
        return self.model.distortion(logits, x)

    def prior(self, draws: Tensor) -> Tensor:
        return self.model.prior(draws)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.model.features(x)

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        return {"model": submodules(self, "model"), "critic": submodules(self, "critics")}

    def spare(self) -> tuple[str, ...]:
        return submodules(self, "critics")


def detached(critic: nn.Module, *inputs: Tensor) -> Tensor:
    """The critic's output with its parameters held fixed: gradients reach the inputs and nothing else."""
    return functional_call(critic, {name: p.detach() for name, p in critic.named_parameters()}, inputs)
