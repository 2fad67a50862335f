"""The fixture `job_client`, for tests of a job (docs/testing.md).

No part of the package: pytest imports this module in every run, and pyjob only where a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyjob.testing import JobClient


@pytest.fixture(scope="module")
def job_client(request: pytest.FixtureRequest) -> Iterator[JobClient]:
    """A `pyjob.testing.JobClient` of the job that the test file is in: the nearest folder with a job.yaml."""
    from pyjob.errors import PyjobError
    from pyjob.manifest.source import FILE_NAME, OLD_FILE_NAME
    from pyjob.testing import JobClient

    folders = request.path.parents
    job = next((at for at in folders if (at / FILE_NAME).is_file() or (at / OLD_FILE_NAME).is_file()), None)
    if job is None:
        pytest.fail(
            f"job_client: there is no {FILE_NAME} in {folders[0]} or a folder above it", pytrace=False
        )
    try:
        client = JobClient(job)
    except PyjobError as error:  # its message says where and why
        pytest.fail(f"job_client: {error}", pytrace=False)
    with client:
        yield client
