"""For reading: tables in the terminal, and one self-contained HTML page about a run."""

from unweave.report.from_run import tell as tell
from unweave.report.page import write as write
from unweave.report.story import Failure as Failure
from unweave.report.story import Figure as Figure
from unweave.report.story import Information as Information
from unweave.report.story import ScoreRow as ScoreRow
from unweave.report.story import Story as Story
from unweave.report.story import Traversal as Traversal
from unweave.report.text import table as table
