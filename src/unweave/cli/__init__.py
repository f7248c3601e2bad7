"""The command line: one thin file a verb."""

from unweave.cli.entry import main as main
