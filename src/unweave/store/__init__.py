"""What is kept: the only writer of files during a run."""

from unweave.store.environment import environment as environment
from unweave.store.environment import machine as machine
from unweave.store.files import StoreError as StoreError
from unweave.store.files import read_json as read_json
from unweave.store.files import write_json as write_json
from unweave.store.files import write_text as write_text
from unweave.store.folder import Checkpoint as Checkpoint
from unweave.store.folder import Held as Held
from unweave.store.folder import RunFolder as RunFolder
from unweave.store.folder import now as now
