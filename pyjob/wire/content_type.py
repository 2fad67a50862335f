"""The type of a file by its name, the same on every machine and for every version of Python."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from mimetypes import MimeTypes
from pathlib import PurePosixPath
from types import MappingProxyType

from werkzeug.http import parse_options_header

UNKNOWN = "application/octet-stream"
OFFICE = "application/vnd.openxmlformats-officedocument"
# What Python 3.11 lacks, or what its versions do not agree on.
TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".docx": f"{OFFICE}.wordprocessingml.document",
        ".flac": "audio/flac",
        ".geojson": "application/geo+json",
        ".ipynb": "application/x-ipynb+json",
        ".js": "text/javascript",
        ".jsonl": "application/jsonl",
        ".log": "text/plain",
        ".m4a": "audio/mp4",
        ".map": "application/json",
        ".markdown": "text/markdown",
        ".md": "text/markdown",
        ".mjs": "text/javascript",
        ".ndjson": "application/x-ndjson",
        ".ogg": "audio/ogg",
        ".otf": "font/otf",
        ".parquet": "application/vnd.apache.parquet",
        ".pptx": f"{OFFICE}.presentationml.presentation",
        ".rst": "text/x-rst",
        ".rtf": "application/rtf",
        ".toml": "application/toml",
        ".ttf": "font/ttf",
        ".webp": "image/webp",
        ".woff": "font/woff",
        ".woff2": "font/woff2",
        ".xlsx": f"{OFFICE}.spreadsheetml.sheet",
        # Not text/xml: the charset of that header would outdo what the file itself declares (RFC 7303).
        ".xml": "application/xml",
        ".yaml": "application/yaml",
        ".yml": "application/yaml",
    }
)
# A compressed file is served as what it is. With Content-Encoding, browsers would unpack it on the way.
COMPRESSED: Mapping[str, str] = MappingProxyType(
    {
        "gzip": "application/gzip",
        "bzip2": "application/x-bzip2",
        "xz": "application/x-xz",
        "compress": "application/x-compress",
    }
)


def guess_content_type(name: str) -> str:
    """The type of a file called ``name``; text is UTF-8."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in TYPES:
        return with_charset(TYPES[suffix])
    # The slash: without one, a name such as `data:text/html,x` is read as a URL.
    kind, encoding = _usual_types().guess_type(f"/{name}")
    if encoding is not None:
        return COMPRESSED.get(encoding, UNKNOWN)
    return with_charset(kind or UNKNOWN)


def with_charset(content_type: str) -> str:
    """``content_type``, with UTF-8 as its charset where it is text and says nothing of one."""
    kind, options = parse_options_header(content_type)
    if kind.lower().startswith("text/") and "charset" not in options:
        return f"{content_type.rstrip('; ')}; charset=utf-8"
    return content_type


@cache
def _usual_types() -> MimeTypes:
    """What Python knows by itself: without the files of the system, which differ."""
    return MimeTypes(filenames=())
