"""Results as plain JSON values."""

from __future__ import annotations

import json
from typing import Any

from pyjob.wire.results.encoding import encode


def to_json_serializable(obj: Any) -> Any:
    """``obj`` as the values of which its JSON is made. Raises `pyjob.ResultError` for what has none."""
    return json.loads(encode(obj))
