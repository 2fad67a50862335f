"""The alerts: when they fire, and what they tell whoever is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

# The job of the scrape configuration: of targets that have never answered, nothing else is known.
SCRAPE_JOB = "pyjob"
DOCUMENT = "docs/monitoring.md, The alerts"

# Puts the job's name beside the value; the labels of the target stay as they are. Looks back, since a process
# may be down just now; and takes one of what it finds, since a new version may have come meanwhile.
WITH_NAME = (
    "* on (job, instance) group_left (name) topk by (job, instance) (1, last_over_time(pyjob_job_info[5m]))"
)
WHO = "{{ $labels.name }} at {{ $labels.instance }}"


@dataclass(frozen=True)
class Alert:
    """One alert: it fires once ``expression`` has given something for ``minutes``."""

    name: str
    expression: str
    minutes: int
    severity: Literal["warning", "critical"]
    summary: str
    description: str

    def rule(self) -> dict[str, Any]:
        """It as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": f"{self.minutes}m",
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": f"{self.description} See {DOCUMENT}."},
        }


# A rate over as many minutes as the alert waits: a single burst has left the window before it could fire.
ALERTS = (
    Alert(
        "PyjobDown",
        # Also what was a pyjob within the last hour, whatever its scrape job is called; and after that hour,
        # what this already fires for.
        f'up{{job="{SCRAPE_JOB}"}} == 0 or (up == 0 and on (job, instance)'
        ' (last_over_time(pyjob_job_info[1h]) or ALERTS{alertname="PyjobDown"}))',
        2,
        "critical",
        "{{ $labels.job }} at {{ $labels.instance }} does not answer",
        "Its /metrics could not be read for two minutes. Look whether the process runs, and what its log"
        " says last.",
    ),
    Alert(
        "PyjobLoadFailed",
        # Looks back, since an orchestrator restarts it meanwhile, and that loads anew.
        f'max_over_time(pyjob_state{{pyjob_state="failed"}}[5m]) {WITH_NAME} > 0',
        1,
        "critical",
        f"{WHO} could not be loaded",
        "It answers no calls. /live and the log say what the job raised while it was loaded.",
    ),
    Alert(
        "PyjobLoading",
        f'pyjob_state{{pyjob_state="loading"}} {WITH_NAME} == 1',
        15,
        "warning",
        f"{WHO} is still loading",
        "It answers no calls. If its model is not that large, it hangs: look at what its log says last.",
    ),
    Alert(
        "PyjobErrorRate",
        "rate(request_internal_errors_total[5m]) / rate(endpoint_requests_started_total[5m])"
        f" {WITH_NAME} > 0.05",
        5,
        "warning",
        f"{WHO}: {{{{ $value | humanizePercentage }}}} of calls to {{{{ $labels.endpoint }}}} fail",
        "The job raises errors. The log has a traceback with a tracing id for each.",
    ),
    Alert(
        "PyjobCallStuck",
        f"pyjob_longest_call_seconds {WITH_NAME} > 300",
        1,
        "warning",
        f"{WHO}: a call has run for {{{{ $value | humanizeDuration }}}}",
        "It keeps its place as long as it runs. If that is not how long calls of this job take, it hangs:"
        " restart the process, and set stuck_after in the manifest so that it is restarted next time.",
    ),
    Alert(
        "PyjobQueueFull",
        f'rate(pyjob_calls_refused_total{{reason="queue_full"}}[5m]) {WITH_NAME} > 0',
        5,
        "warning",
        f"{WHO}: the line is full",
        "Calls are answered 429. Run more processes, raise max_concurrency if the job can bear it, or have"
        " callers send less.",
    ),
    Alert(
        "PyjobCallsRefused",
        f'rate(pyjob_calls_refused_total{{reason!~"queue_full|draining"}}[5m]) {WITH_NAME} > 0',
        5,
        "warning",
        f"{WHO}: calls are refused ({{{{ $labels.reason }}}})",
        "They are answered 503 and not run. queue_timeout: calls wait too long; connections, threads: there"
        " are more callers than the server takes.",
    ),
    Alert(
        "PyjobMetricsFaults",
        f"increase(pyjob_job_metrics_errors_total[10m]) {WITH_NAME} > 0",
        10,
        "warning",
        f"{WHO}: its metrics() gives something wrong",
        "Calls are served. Of the job's own metrics some are missing, or all are old: the log says why.",
    ),
)


def alert_rules() -> dict[str, Any]:
    """A file of rules as Prometheus reads it."""
    return {"groups": [{"name": "pyjob", "rules": [alert.rule() for alert in ALERTS]}]}
