"""Entry point of `python -m convogen`."""

from convogen.cli.main import main

main()
