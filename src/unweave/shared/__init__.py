"""A trained model in a folder of its own: what is needed to use it and nothing else, for other people's machines."""

from unweave.shared.folder import CARD as CARD
from unweave.shared.folder import CONFIG as CONFIG
from unweave.shared.folder import FILES as FILES
from unweave.shared.folder import WEIGHTS as WEIGHTS
from unweave.shared.folder import SharedFolder as SharedFolder
from unweave.shared.folder import is_both as is_both
from unweave.shared.folder import is_shared as is_shared
from unweave.shared.model import SharedModel as SharedModel
from unweave.shared.model import pack as pack
from unweave.shared.model import unpack as unpack
