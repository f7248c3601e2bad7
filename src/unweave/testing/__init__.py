"""The promises that the rest of the package relies on, as functions that check anybody's classes.

Each raises AssertionError with one line that says what does not hold:

>>> from unweave.methods import BetaVAE
>>> check_method(BetaVAE(beta=4.0))
"""

from unweave.testing.datasets import check_dataset as check_dataset
from unweave.testing.dots import Dots as Dots
from unweave.testing.methods import check_method as check_method
from unweave.testing.metrics import check_metric as check_metric
