"""The least that Django needs."""

SECRET_KEY = "for this example only"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "urls"
WSGI_APPLICATION = "wsgi.application"
# The filter knows the id and the caller of each request to the job.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "pyjob.logs.ContextFilter"}},
    "formatters": {"line": {"format": "%(levelname)s %(message)s, id=%(tracing_id)s"}},
    "handlers": {"log": {"class": "logging.StreamHandler", "filters": ["request"], "formatter": "line"}},
    "root": {"level": "INFO", "handlers": ["log"]},
}
