from recipes.cli import cli

cli()
