"""The environment of a job: env files, precedence, secrets (SPEC 3).

env_file.py  the strict reader of env files     mask.py  secret values replaced in what is told
environment.py  what is set for a job, and from where     build.py  what is set while it is built
"""

from pyjob.environment.environment import Environment, environment_of

__all__ = ["Environment", "environment_of"]
