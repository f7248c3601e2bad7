"""Bad hyperparameters of RecurD: one line that says what was given and what is allowed."""

from __future__ import annotations

import math

import pytest

from unweave.methods import Method, RecurD
from unweave.types import UserError

from .case import LATENTS, SPEC

WRONG = [
    (RecurD(modules=3), "modules = 3; allowed: 0, 1, 2"),
    (RecurD(modules=-1), "modules = -1; allowed: 0, 1, 2"),
    (RecurD(encoders=(4, 4)), "encoders = (4, 4) with modules = 1; allowed: one a module"),
    (RecurD(modules=0, encoders=(4,)), "encoders = (4,) with modules = 0"),
    (RecurD(modules=2, encoders=(2, 1), k=1), "encoders = (2, 1); allowed: 2 or more from the second module on"),
    (RecurD(encoders=(0,)), "encoders = (0,); allowed: numbers of 1 or more"),
    (RecurD(k=0), "k = 0; allowed: numbers of 1 or more"),
    (RecurD(k=5), "k = 5 of 4 groups; allowed: 1 to 4"),
    (RecurD(k=3, modules=2), "k = 3 of 2 groups; allowed: 1 to 2"),
    (RecurD(router="matmull"), "did you mean 'matmul'?"),
    (RecurD(router="hadamard"), "modules of [4, 6] encoders; allowed: all alike, as encoders = (6,)"),
    (RecurD(router="fix", combine="concat"), "combine = 'concat' has no meaning; allowed: 'sum'"),
    (RecurD(combine="cat"), "allowed: sum, concat"),
    (RecurD(estimator="mine"), "allowed: dv, jsd, nwj, infonce, club, smile"),
    (RecurD(size=4), "6 latents in parts of 4; allowed: two or more parts"),
    (RecurD(size=6), "6 latents in parts of 6; allowed: two or more parts"),
    (RecurD(l1=-1.0), "l1 = -1.0; allowed: numbers of 0 or more"),
    (RecurD(l2=math.nan), "l2 = nan"),
    (RecurD(kl_weight=math.inf), "kl_weight = inf"),
    (RecurD(kl_weight=-0.5), "kl_weight = -0.5; allowed: numbers of 0 or more"),
    (RecurD(critic_lr=-1e-4), "critic_lr = -0.0001"),
    (RecurD(critic_clip=0.0), "critic_clip = 0.0; allowed: numbers above 0"),
    (RecurD(critic_hidden=0), "critic_hidden = 0"),
    (RecurD(critic_layers=0), "critic_layers = 0"),
    (RecurD(n_critic=0), "n_critic = 0"),
    (RecurD(negatives=0), "negatives = 0"),
    (RecurD(bound=0.0), "bound = 0.0; allowed: numbers above 0"),
    (RecurD(bound=math.nan), "bound = nan"),
    (RecurD(smile_clip=-1.0), "smile_clip = -1.0"),
    (RecurD(average_rate=0.0), "average_rate = 0.0; allowed: above 0, at most 1"),
    (RecurD(average_rate=1.5), "average_rate = 1.5"),
]


@pytest.mark.parametrize(("method", "said"), WRONG, ids=lambda one: repr(one) if isinstance(one, Method) else "")
def test_one_clear_line(method: Method, said: str) -> None:
    with pytest.raises(UserError) as error:
        method.check(SPEC, LATENTS)
    message = str(error.value)
    assert said in message and message.startswith("recurd: ") and "\n" not in message


@pytest.mark.parametrize("rows, negatives", [(1, 1), (4, 4)])
def test_batches_without_independent_pairs(rows: int, negatives: int) -> None:
    with pytest.raises(UserError, match=f"batches of at least {negatives + 1}"):
        RecurD(negatives=negatives).noise(SPEC, LATENTS, rows)


@pytest.mark.parametrize("modules", [1, 2])
def test_images_that_its_convolutions_shrink_to_nothing(modules: int) -> None:
    with pytest.raises(UserError, match="recurd: images of 7×20; allowed: at least 8 pixels a side"):
        RecurD(modules=modules).network(SPEC._replace(shape=(1, 7, 20)), 4)
    assert RecurD(modules=modules).network(SPEC._replace(shape=(1, 8, 20)), 4)


def test_what_goes_together_passes() -> None:
    for fields in ({"k": 4}, {"router": "fix", "k": 9}, {"router": "hadamard", "encoders": (6,)}, {"size": 3}):
        RecurD(**fields).check(SPEC, LATENTS)  # type: ignore[arg-type]
