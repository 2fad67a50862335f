"""The manifest: what a job's author wrote into ``job.yaml``, read, checked and typed (SPEC 2).

document.py  YAML text -> plain values            fields.py    one value -> one typed value, or what is wrong
table.py     which field is read by which reader  manifest.py  the typed manifest and the rules between fields
source.py    where the manifest is: a path, the environment, a mapping at hand
layers.py    the base below a manifest and options on top of it
place.py     the files and lines of values      file.py      the bytes of a file
json_schema.py  the table, for editors
"""

from pyjob.manifest.manifest import (
    Git,
    JobtypeExtra,
    Manifest,
    Resources,
    remarks_on,
    with_identity,
)
from pyjob.manifest.source import find_manifest, manifest_of

__all__ = [
    "Git",
    "JobtypeExtra",
    "Manifest",
    "Resources",
    "find_manifest",
    "manifest_of",
    "remarks_on",
    "with_identity",
]
