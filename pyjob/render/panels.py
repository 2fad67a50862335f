"""What the dashboard shows: rows of panels, each with its queries (SPEC 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyjob.render.queries import Query, each, now, per_second, quantile

Kind = Literal["stat", "timeseries", "heatmap"]


@dataclass(frozen=True)
class Panel:
    """One panel, ``width`` of the dashboard's 24 columns wide; its values are red from ``limit`` on."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    limit: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels under one title."""

    title: str
    panels: tuple[Panel, ...]


STARTED = "endpoint_requests_started_total"
ERRORS = "request_internal_errors_total"
DURATION = "request_duration"
WAIT = "pyjob_call_wait_seconds"
QUANTILES = (0.5, 0.9, 0.99)
# What tells processes apart, and several jobs of one of them.
PROCESS_LABELS = ("job", "instance")
PROCESS_LEGEND = "{{job}} {{instance}}"

OVERVIEW = Row(
    "Overview",
    (
        Panel(
            "State",
            "How many processes are loading, ready, failed or draining.",
            "none",
            (Query(now("pyjob_state", "pyjob_state"), "{{pyjob_state}}"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Jobs",
            "Jobs and their versions, each with the number of its processes.",
            "none",
            (Query(now("pyjob_job_info", "name", "version"), "{{name}} {{version}}"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Failed to load",
            "Processes whose job could not be loaded: their /live says why.",
            "none",
            (Query(now("pyjob_state", where=',pyjob_state="failed"'), "failed"),),
            kind="stat",
            width=3,
            limit=1,
        ),
        Panel(
            "Running",
            "Calls that hold a slot now.",
            "none",
            (Query(now("pyjob_calls_running"), "running"),),
            kind="stat",
            width=3,
        ),
        Panel(
            "Waiting",
            "Calls that stand in the line now.",
            "none",
            (Query(now("pyjob_calls_waiting"), "waiting"),),
            kind="stat",
            width=3,
        ),
        Panel(
            "Longest call",
            "How long the oldest running call has run.",
            "s",
            (Query(f"max({each('pyjob_longest_call_seconds')})", "longest"),),
            kind="stat",
            width=3,
        ),
        Panel(
            "Calls",
            "Calls started a second.",
            "reqps",
            (Query(per_second(STARTED), "calls"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Error ratio",
            "Share of calls in which the job raised an error.",
            "percentunit",
            (Query(f"{per_second(ERRORS)} / {per_second(STARTED)}", "errors"),),
            kind="stat",
            width=6,
            limit=0.05,
        ),
        Panel(
            "99th percentile",
            "Of a hundred calls, 99 took no longer, waiting included.",
            "s",
            (Query(quantile(0.99, DURATION), "p99"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Since the latest call",
            "How long ago the latest call came; empty before the first one.",
            "s",
            (Query(f"time() - max({each('last_call_timestamp')} > 0)", "ago"),),
            kind="stat",
            width=6,
        ),
    ),
)

TRAFFIC = Row(
    "Traffic",
    (
        Panel(
            "Calls by endpoint",
            "Calls started a second.",
            "reqps",
            (Query(per_second(STARTED, "endpoint"), "{{endpoint}}"),),
        ),
        Panel(
            "Errors by endpoint",
            "Calls a second in which the job raised an error, ValueError included.",
            "reqps",
            (Query(per_second(ERRORS, "endpoint"), "{{endpoint}}"),),
        ),
        Panel(
            "Error ratio by endpoint",
            "Share of calls in which the job raised an error; no line where there are no calls.",
            "percentunit",
            (Query(f"{per_second(ERRORS, 'endpoint')} / {per_second(STARTED, 'endpoint')}", "{{endpoint}}"),),
        ),
        Panel(
            "Started and done",
            "Calls a second that came, and that were answered: where they part, calls pile up.",
            "reqps",
            (
                Query(per_second("requests_started_total"), "started"),
                Query(per_second("requests_done_total"), "done"),
            ),
            width=12,
        ),
        Panel(
            "Calls by process",
            "Calls started a second, to see whether they are spread evenly.",
            "reqps",
            (Query(per_second("requests_started_total", *PROCESS_LABELS), PROCESS_LEGEND),),
            width=12,
        ),
    ),
)

DURATIONS = Row(
    "Durations",
    (
        Panel(
            "Quantiles by endpoint",
            "How long calls took, waiting included: half of them, 90 and 99 of a hundred at most so long.",
            "s",
            tuple(
                Query(quantile(share, DURATION, "endpoint"), f"{{{{endpoint}}}} p{share * 100:g}")
                for share in QUANTILES
            ),
        ),
        Panel(
            "Mean by endpoint",
            "Mean duration of the calls that ended, waiting included.",
            "s",
            (
                Query(
                    f"{per_second(f'{DURATION}_sum', 'endpoint')}"
                    f" / {per_second(f'{DURATION}_count', 'endpoint')}",
                    "{{endpoint}}",
                ),
            ),
        ),
        Panel(
            "Distribution",
            "How many calls a second took how long, waiting included.",
            "s",
            (Query(per_second(f"{DURATION}_bucket", "le"), "{{le}}"),),
            kind="heatmap",
        ),
    ),
)

LINE = Row(
    "The line",
    (
        Panel(
            "Running and waiting",
            "Calls that hold a slot, and those that stand in line for one.",
            "none",
            (
                Query(now("pyjob_calls_running"), "running"),
                Query(now("pyjob_calls_waiting"), "waiting"),
            ),
        ),
        Panel(
            "Time in line",
            "How long calls waited before they ran; those that found a free slot count as 0.",
            "s",
            tuple(Query(quantile(share, WAIT), f"p{share * 100:g}") for share in QUANTILES),
        ),
        Panel(
            "Refused",
            "Valid calls a second that were not run, by reason.",
            "reqps",
            (Query(per_second("pyjob_calls_refused_total", "reason"), "{{reason}}"),),
        ),
        Panel(
            "Abandoned",
            "Calls a second whose callers left before the answer.",
            "reqps",
            (Query(per_second("pyjob_calls_abandoned_total"), "abandoned"),),
            width=12,
        ),
        Panel(
            "Longest call by process",
            "How long the oldest running call has run: a line that only climbs is a call that hangs.",
            "s",
            (Query(each("pyjob_longest_call_seconds"), PROCESS_LEGEND),),
            width=12,
        ),
    ),
)

PROCESS = Row(
    "Processes",
    (
        Panel(
            "Memory",
            "Resident memory of each process.",
            "bytes",
            (Query(each("process_resident_memory_bytes"), PROCESS_LEGEND),),
        ),
        Panel(
            "CPU",
            "Cores that each process keeps busy.",
            "none",
            (Query(per_second("process_cpu_seconds_total", *PROCESS_LABELS), PROCESS_LEGEND),),
        ),
        Panel(
            "Uptime",
            "How long ago each process started.",
            "s",
            (Query(f"time() - {each('process_start_time_seconds')}", PROCESS_LEGEND),),
        ),
        Panel(
            "File descriptors",
            "Share of the file descriptors that a process may open, connections included.",
            "percentunit",
            (Query(f"{each('process_open_fds')} / {each('process_max_fds')}", PROCESS_LEGEND),),
        ),
        Panel(
            "Garbage collections",
            "Runs of Python's garbage collector a second, by generation.",
            "none",
            (Query(per_second("python_gc_collections_total", "generation"), "generation {{generation}}"),),
        ),
        Panel(
            "Faults in the job's own metrics",
            "Found a second in what its metrics() gave; the log has the sentence. Empty without metrics().",
            "none",
            (Query(per_second("pyjob_job_metrics_errors_total", *PROCESS_LABELS), PROCESS_LEGEND),),
        ),
    ),
)

ROWS = (OVERVIEW, TRAFFIC, DURATIONS, LINE, PROCESS)
