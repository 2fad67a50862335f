"""What a call costs in the application alone: bare, pyjob, and with access lines. Prints JSON.

Runs in pyjob's environment. The three take turns, and are called as `app_cost.py` calls them.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from app_cost import wsgi_run
from summing import SUM, Summing, bare

from inside.timing import answering, timed
from pyjob import Settings, create
from pyjob.logs.setting_up import LogSettings, set_up_logging

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def main() -> None:
    rounds, calls = map(int, sys.argv[1:])
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  no path of the file system is meant
        set_up_logging(LogSettings(), nowhere)
        contenders: dict[str, WSGIApplication] = {
            "bare": bare,
            "alone": create(Summing, settings=Settings(access_log=False), load="now"),
            "with_lines": create(Summing, settings=Settings(access_log=True), load="now"),
        }
        runs = [answering(wsgi_run(each), 200, SUM) for each in contenders.values()]
        json.dump(dict(zip(contenders, timed(runs, rounds, calls), strict=True)), sys.stdout)


if __name__ == "__main__":
    main()
