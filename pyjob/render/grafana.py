"""The dashboard as Grafana imports it: JSON of version 10 and later."""

from __future__ import annotations

import hashlib
from typing import Any

from pyjob.render.panels import ROWS, Panel

DEFAULT_TITLE = "pyjob"
SCHEMA_VERSION = 38  # that of Grafana 10.0; later ones bring it up to date when they import it
COLUMNS = 24
STAT_HEIGHT, GRAPH_HEIGHT, TITLE_HEIGHT = 4, 8, 1
HIDDEN = 2
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(title: str = DEFAULT_TITLE) -> dict[str, Any]:
    """A dashboard of all panels. The same ``title`` gives the same uid: importing it again replaces it."""
    return {
        "uid": f"pyjob-{hashlib.sha256(title.encode('utf-8', 'replace')).hexdigest()[:16]}",
        "title": title,
        "description": "Jobs served by pyjob",
        "tags": ["pyjob"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,  # the same moment is marked in all panels
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": _panels(),
    }


def _variables() -> list[dict[str, Any]]:
    datasource = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
    }
    # "All" has no value of its own (such as .*): it is every value of the query, so all of the chosen jobs.
    of_name = 'label_values(pyjob_job_info{name=~"$name"}, '
    return [
        datasource,
        _label_values("name", "Job", "label_values(pyjob_job_info, name)"),
        # Follows the name: the job of the scrape configuration is nothing to choose by.
        {**_label_values("job", "Scrape job", f"{of_name}job)"), "hide": HIDDEN},
        _label_values("instance", "Process", f"{of_name}instance)"),
    ]


def _label_values(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _panels() -> list[dict[str, Any]]:
    """Titles of rows and panels with their places: from left to right, then on the next line."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": TITLE_HEIGHT},
            }
        )
        y += TITLE_HEIGHT
        x = height = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + height
            height = STAT_HEIGHT if panel.kind == "stat" else GRAPH_HEIGHT
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
            x += panel.width
        y += height
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "stat":
            defaults, options = _stat(panel)
        case "timeseries":
            defaults, options = _timeseries()
        case "heatmap":
            defaults, options = _heatmap(panel)
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **defaults}, "overrides": []},
        "options": options,
        "targets": _targets(panel),
    }


def _targets(panel: Panel) -> list[dict[str, Any]]:
    is_now = panel.kind == "stat"
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.expression,
            "legendFormat": query.legend,
            "format": "heatmap" if panel.kind == "heatmap" else "time_series",
            "instant": is_now,
            "range": not is_now,
            # Calls with their tracing ids, where Prometheus keeps them.
            "exemplar": "histogram_quantile" in query.expression and not is_now,
        }
        for number, query in enumerate(panel.queries)
    ]


def _stat(panel: Panel) -> tuple[dict[str, Any], dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"color": "blue" if panel.limit is None else "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    defaults = {
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
        # A ratio or a quantile of no calls at all.
        "mappings": [{"type": "special", "options": {"match": "nan", "result": {"text": "no calls"}}}],
    }
    options = {
        "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        # The names of series say something where labels are in them.
        "textMode": "value_and_name" if "{{" in panel.queries[0].legend else "value",
    }
    return defaults, options


def _timeseries() -> tuple[dict[str, Any], dict[str, Any]]:
    defaults = {
        "color": {"mode": "palette-classic"},
        "custom": {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never"},
    }
    options = {
        "legend": {
            "showLegend": True,
            "displayMode": "table",
            "placement": "bottom",
            "calcs": ["lastNotNull", "max"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return defaults, options


def _heatmap(panel: Panel) -> tuple[dict[str, Any], dict[str, Any]]:
    options = {
        "calculate": False,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
        },
        "cellGap": 1,
        "cellValues": {"unit": "reqps"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"show": True, "mode": "single", "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "unit": panel.unit},
    }
    return {"custom": {}}, options
