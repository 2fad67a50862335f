"""The job as a WSGI application for gunicorn and granian, without access lines."""

from __future__ import annotations

import pyjob

application = pyjob.create(load="now", settings=pyjob.Settings(access_log=False))
