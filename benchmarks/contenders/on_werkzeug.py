"""As the bare function, by werkzeug's Request and Response, on waitress: `python on_werkzeug.py PORT`."""

from __future__ import annotations

import json
import logging
import sys

import waitress
from bare import WORKS
from werkzeug import Request, Response


@Request.application
def application(request: Request) -> Response:
    answer = WORKS[request.path](**request.get_json())
    return Response(json.dumps(answer), mimetype="application/json")


# A line for each call that waits for a thread: the yardstick is not to pay for what the others leave out.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)
waitress.serve(application, host="127.0.0.1", port=int(sys.argv[1]), threads=8)
