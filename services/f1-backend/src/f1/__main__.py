from f1.cli import cli

cli()
