"""Runs `wandb verify` and prints each check with its result."""
import sys

from wandb.cli.cli import cli

print("HOST", sys.argv[1])
try:
    cli.main(["verify", "--host", sys.argv[1]], standalone_mode=False)
    code = 0
except SystemExit as exit:
    code = exit.code
print("EXIT", code)
