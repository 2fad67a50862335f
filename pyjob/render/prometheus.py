"""What Prometheus reads: which processes it scrapes, and the alert rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import yaml

from pyjob.render.alerts import SCRAPE_JOB, alert_rules

Part = Literal["scrape", "rules"]

DEFAULT_TARGETS = ("127.0.0.1:7000",)
RULES_FILE = "pyjob-rules.yml"
SCRAPE_COMMENT = """\
# prometheus.yml: what is scraped, each process as a target of its own.
# If you have such a file, add the entries to its lists.
"""
RULES_COMMENT = f"""\
# {RULES_FILE}: the alerts, in a file of their own beside prometheus.yml.
"""


def configuration(targets: Sequence[str], part: Part | None = None) -> str:
    """YAML of one ``part``, or of both as two documents; ``targets`` are HOST:PORT."""
    scrape = SCRAPE_COMMENT + _yaml(scrape_configuration(targets))
    rules = RULES_COMMENT + _yaml(alert_rules())
    return {"scrape": scrape, "rules": rules, None: f"{scrape}---\n{rules}"}[part]


def scrape_configuration(targets: Sequence[str]) -> dict[str, Any]:
    """A Prometheus' configuration that scrapes ``targets`` and reads the file of rules beside it."""
    job = {
        "job_name": SCRAPE_JOB,
        "metrics_path": "/metrics",
        "scrape_interval": "15s",
        "static_configs": [{"targets": list(targets)}],
    }
    return {"rule_files": [RULES_FILE], "scrape_configs": [job]}


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=1000)
