"""A Django project that serves a job below /model; every other path is Django's."""

import os
from pathlib import Path

from django.core.wsgi import get_wsgi_application
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import pyjob

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

# "now": a site that comes up has a job that works.
model = pyjob.create(Path(__file__).parent / "job", prefix="/model", load="now")
application = DispatcherMiddleware(get_wsgi_application(), {"/model": model})
