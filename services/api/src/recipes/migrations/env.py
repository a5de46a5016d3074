from recipes.models import Base
from servicekit.migrations import run_environment

run_environment(Base.metadata)
