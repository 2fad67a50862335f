"""The import paths of Racetrack's job runner, for jobs that were written for it; pyjob does the work."""

try:
    import pyjob

    pyjob.EndpointConfig  # noqa: B018  the other project of this name has none
except (ImportError, AttributeError) as error:
    raise ImportError(
        "racetrack_job_wrapper, of pyjob's compat distribution, needs pyjob, which is not installed: install "
        "it from its folder or its wheel (`pip install .`), not by its name: that is another project on PyPI"
    ) from error

name = "racetrack_job_wrapper"
