"""`python -m services.cli`: the same as `labqueue-server`."""

from services.cli.main import main

main()
