"""`python -m convogen`: the command line."""

from convogen.cli.main import main

main()
