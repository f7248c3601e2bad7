"""A folder of one's own images: trained on, chosen from, encoded and shown, without a setting to find."""

from unweave.own.fitting import Asked as Asked
from unweave.own.fitting import Chosen as Chosen
from unweave.own.fitting import Fitting as Fitting
from unweave.own.fitting import begin as begin
from unweave.own.fitting import check as check
from unweave.own.fitting import looked_at as looked_at
