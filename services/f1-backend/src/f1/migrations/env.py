from f1.tables import Base
from servicekit.migrations import run_environment

run_environment(Base.metadata)
