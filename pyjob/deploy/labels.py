"""What a manifest says of a job, as Kubernetes takes it: labels, annotations, quantities.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ has the syntax of names and values,
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ that of quantities.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal

from pyjob.errors import ManifestError, Problem
from pyjob.manifest import Manifest
from pyjob.manifest.fields import amount

_LONGEST = 63
_WORD = "[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = re.compile(f"(?:{_WORD})?")
_NAME = re.compile(f"(?:([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)/)?({_WORD})")
_LONGEST_PREFIX = 253
# Names below these belong to Kubernetes; some change how a pod is run.
_RESERVED = re.compile(r"(?:.*\.)?(?:kubernetes|k8s)\.io")
_NO_VALUE = re.compile("[^-A-Za-z0-9_.]")

_FINEST = Decimal("1e-9")


@dataclass
class Labels:
    """A manifest's labels, as ``annotations`` where Kubernetes has no such values; and what is left out."""

    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def labels_of(manifest: Manifest) -> Labels:
    """The manifest's labels, by name."""
    found = Labels()
    for name, value in manifest.labels.items():
        match = _NAME.fullmatch(name)
        if match is None or len(match[1] or "") > _LONGEST_PREFIX or len(match[2]) > _LONGEST:
            found.remarks.append(f"labels: {name!a}: left out, since Kubernetes takes no such name")
        elif match[1] and _RESERVED.fullmatch(match[1]):
            found.remarks.append(f"labels: {name!a}: left out, since such names belong to Kubernetes")
        elif is_label_value(text := _text(value)):
            found.labels[name] = text
        else:
            found.annotations[name] = text
    return found


def is_label_value(text: str) -> bool:
    """Whether a label can have it."""
    return len(text) <= _LONGEST and _VALUE.fullmatch(text) is not None


def label_value(text: str) -> str:
    """``text`` as the value of a label; what cannot be in one is ``_``."""
    return _NO_VALUE.sub("_", text)[:_LONGEST].strip("-_.")


def resources_of(manifest: Manifest) -> dict[str, dict[str, str]]:
    """Requests and limits of a container. Raises `ManifestError` for what Kubernetes would not take."""
    requests = dict(_quantities(manifest, "min"))
    limits = dict(_quantities(manifest, "max"))
    return {kind: found for kind, found in (("requests", requests), ("limits", limits)) if found}


def _quantities(manifest: Manifest, end: str) -> Iterator[tuple[str, str]]:
    for kind in ("cpu", "memory"):
        name = f"{kind}_{end}"
        quantity: str = getattr(manifest.resources, name)
        if not quantity:
            continue
        if kind == "memory" and amount(quantity) % 1:
            expected = 'a whole number of bytes, such as 256Mi (a small "m" is a thousandth)'
            problem = Problem(f"resources.{name}", expected, quantity)
            raise ManifestError(manifest.source, [manifest.located(problem)])
        yield kind, _in_its_units(quantity)


def _in_its_units(quantity: str) -> str:
    """``quantity`` in units of Kubernetes: it has neither ``K`` nor ``p``, and rounds up what is finer."""
    if quantity.endswith("K"):
        return f"{quantity[:-1]}k"
    if quantity.endswith("p"):
        return f"{(amount(quantity) / _FINEST).to_integral_value(ROUND_UP)}n"
    return quantity


def _text(value: object) -> str:
    if isinstance(value, str) and value.isprintable():
        return value
    if value is None or isinstance(value, (bool, int, float, str, Mapping, list)):
        return "" if value is None else json.dumps(value, default=str)
    return str(value)  # a date
