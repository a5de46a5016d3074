from sqlalchemy import Column, Integer, MetaData, Table

from servicekit.migrations import run_environment

metadata = MetaData()
Table("things", metadata, Column("id", Integer, primary_key=True))

run_environment(metadata)
