"""What is asked of Prometheus, of the processes that are chosen on the dashboard."""

from __future__ import annotations

from dataclasses import dataclass

# `$job` and `$instance` are variables of the dashboard: several jobs of one process are one instance, and
# differ in the job that scrapes them. The other one Grafana sets to a few scrapes.
CHOSEN = 'job=~"$job",instance=~"$instance"'
WINDOW = "$__rate_interval"


@dataclass(frozen=True)
class Query:
    """A PromQL expression, and the legend of its series: text with labels in double braces."""

    expression: str
    legend: str


def now(name: str, *by: str, where: str = "") -> str:
    """The sum of a gauge over the chosen processes, for each value of the labels ``by``."""
    return f"{_sum(by)}({name}{{{CHOSEN}{where}}})"


def each(name: str) -> str:
    """A gauge of each chosen process."""
    return f"{name}{{{CHOSEN}}}"


def per_second(name: str, *by: str) -> str:
    """How much a counter of the chosen processes grows in a second, for each value of the labels ``by``."""
    return f"{_sum(by)}(rate({name}{{{CHOSEN}}}[{WINDOW}]))"


def quantile(share: float, name: str, *by: str) -> str:
    """A quantile of a histogram of the chosen processes, for each value of the labels ``by``."""
    return f"histogram_quantile({share:g}, {per_second(f'{name}_bucket', *by, 'le')})"


def _sum(by: tuple[str, ...]) -> str:
    return f"sum by ({', '.join(by)}) " if by else "sum"
