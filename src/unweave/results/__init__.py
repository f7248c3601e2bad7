"""All runs of a folder as one table, and SQL over it."""

from unweave.results.log import logger as logger
from unweave.results.sql import export as export
from unweave.results.sql import frame as frame
from unweave.results.sql import query as query
from unweave.results.table import FIRST as FIRST
from unweave.results.table import Row as Row
from unweave.results.table import brief as brief
from unweave.results.table import folders as folders
from unweave.results.table import row as row
from unweave.results.table import rows as rows
from unweave.results.table import safe as safe
