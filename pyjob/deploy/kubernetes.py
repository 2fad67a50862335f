"""A job in a Kubernetes cluster: Deployment, Service, ConfigMap, PodDisruptionBudget, as YAML.

A Secret is only referred to. Names, labels and selectors are such that several versions of a job live side by
side; docs/kubernetes.md says why things are as they are.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pyjob.deploy.labels import Labels, label_value, labels_of, resources_of
from pyjob.deploy.service import (
    IMAGE_USER,
    TEMPORARY_FOLDER,
    WORK_FOLDER,
    Service,
    stop_seconds,
)
from pyjob.environment.environment import SECRETS_VARIABLE

Document = dict[str, Any]

PORT_NAME = "http"
# Until the server listens: it unpacks the .pex and imports pyjob. The job loads behind that.
STARTUP_PERIOD, STARTUP_FAILURES = 2, 150
LIVE_PERIOD, LIVE_FAILURES = 10, 3
READY_PERIOD, READY_FAILURES = 5, 2
PROBE_TIMEOUT = 5  # the machine may be busy, or the container throttled
# Only what `kubectl rollout status` says depends on it: a job may take that long to load.
PROGRESS_SECONDS = 3600


@dataclass(frozen=True)
class Cluster:
    """What is chosen for a job in a cluster; empty strings stand for the usual: see `pyjob render`.

    ``name`` is that of all objects, ``secret`` that of the Secret. ``grace`` and ``drain_delay`` are seconds.
    """

    image: str
    port: int
    grace: float
    drain_delay: float
    name: str = ""
    namespace: str = ""
    secret: str = ""


def documents(service: Service, cluster: Cluster) -> tuple[str, list[str]]:
    """The YAML documents of a job, and what is to be told beside them. Raises `ManifestError`."""
    found = labels_of(service.manifest)
    made = [one for one in _Objects(service, cluster, found).all() if one is not None]
    text = "---\n".join(map(_yaml, made))
    return _head(service, cluster) + text, [*service.remarks, *found.remarks]


def secret_name(service: Service, cluster: Cluster) -> str:
    """The Secret that the job's variables come from; empty where there is none."""
    if cluster.secret or not service.manifest.secret_runtime_env_file:
        return cluster.secret
    return f"{service.label}-secret"


class _Objects:
    """Makes the objects of one job."""

    def __init__(self, service: Service, cluster: Cluster, found: Labels) -> None:
        self._manifest = service.manifest
        self._cluster = cluster
        self._secret = _Words(secret_name(service, cluster))
        self._name = _Words(cluster.name or service.versioned_label)
        # What never changes while the Deployment is there: another version may take its place.
        self._selector = {
            "app.kubernetes.io/name": _Words(self._manifest.name),
            "app.kubernetes.io/instance": self._name,
        }
        version = {"app.kubernetes.io/version": _Words(label_value(self._manifest.version))}
        self._labels = self._selector | version | _words(found.labels)
        self._annotations = _words(found.annotations)
        self._variables = _words(self._manifest.runtime_env)

    def all(self) -> Iterator[Document | None]:
        yield self._config_map()
        yield self._deployment()
        yield self._service()
        yield self._budget()

    def _object(self, api: str, kind: str, **parts: Any) -> Document:
        metadata: Document = {"name": self._name, "labels": self._labels}
        if self._cluster.namespace:
            metadata["namespace"] = _Words(self._cluster.namespace)
        if kind == "Deployment" and self._annotations:
            metadata["annotations"] = self._annotations
        return {"apiVersion": api, "kind": kind, "metadata": metadata, **parts}

    def _config_map(self) -> Document | None:
        if not self._variables:
            return None
        return self._object("v1", "ConfigMap", data=self._variables)

    def _deployment(self) -> Document:
        spec = {
            "replicas": self._manifest.replicas,
            "selector": {"matchLabels": self._selector},
            # A new one is ready before an old one goes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": PROGRESS_SECONDS,
            "template": {"metadata": self._pod_metadata(), "spec": self._pod()},
        }
        return self._object("apps/v1", "Deployment", spec=spec)

    def _pod_metadata(self) -> Document:
        annotations = {
            "prometheus.io/scrape": "true",
            "prometheus.io/path": "/metrics",
            "prometheus.io/port": str(self._cluster.port),
        }
        if self._variables:
            # Pods read the ConfigMap when they start: another one has to start others.
            content = json.dumps(self._variables, sort_keys=True)
            annotations["checksum/config"] = hashlib.sha256(content.encode()).hexdigest()
        return {"labels": self._labels, "annotations": annotations}

    def _pod(self) -> Document:
        return {
            "automountServiceAccountToken": False,  # a job has no business with the cluster
            "enableServiceLinks": False,  # no variables of other Services among the job's
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": IMAGE_USER,
                "runAsGroup": IMAGE_USER,
                "fsGroup": IMAGE_USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": stop_seconds(self._cluster.grace, self._cluster.drain_delay),
            "containers": [self._container()],
            "volumes": [{"name": "job", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        }

    def _container(self) -> Document:
        container: Document = {
            "name": "job",
            "image": _Words(self._cluster.image),
            "args": self._arguments(),
            "ports": [{"name": PORT_NAME, "containerPort": self._cluster.port}],
            "env": [{"name": SECRETS_VARIABLE, "value": "environment"}],
        }
        if sources := [*self._sources()]:
            container["envFrom"] = sources
        if resources := resources_of(self._manifest):
            container["resources"] = {
                kind: {name: _Words(quantity) for name, quantity in found.items()}
                for kind, found in resources.items()
            }
        return container | {
            "startupProbe": _probe("/live", STARTUP_PERIOD, STARTUP_FAILURES),
            "livenessProbe": _probe("/live", LIVE_PERIOD, LIVE_FAILURES),
            "readinessProbe": _probe("/ready", READY_PERIOD, READY_FAILURES),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [
                {"name": "job", "mountPath": WORK_FOLDER},
                {"name": "tmp", "mountPath": TEMPORARY_FOLDER},
            ],
        }

    def _arguments(self) -> list[str]:
        options = {
            "--port": f"{self._cluster.port}",
            "--workdir": WORK_FOLDER,
            "--grace": f"{self._cluster.grace:g}",
            "--drain-delay": f"{self._cluster.drain_delay:g}",
        }
        # A failed start ends the container: Kubernetes waits longer each time, and shows why.
        return [*(word for option in options.items() for word in option), "--fail-fast"]

    def _sources(self) -> Iterator[Document]:
        """Where variables come from; the last one wins."""
        if self._variables:
            yield {"configMapRef": {"name": self._name}}
        if self._secret:
            yield {"secretRef": {"name": self._secret}}

    def _service(self) -> Document:
        port = {"name": PORT_NAME, "port": self._cluster.port, "targetPort": PORT_NAME, "protocol": "TCP"}
        return self._object("v1", "Service", spec={"selector": self._selector, "ports": [port]})

    def _budget(self) -> Document | None:
        if self._manifest.replicas == 1:
            return None  # nodes could not be emptied
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": self._selector}}
        return self._object("policy/v1", "PodDisruptionBudget", spec=spec)


def _probe(path: str, period: int, failures: int) -> Document:
    return {
        "httpGet": {"path": path, "port": PORT_NAME},
        "periodSeconds": period,
        "timeoutSeconds": PROBE_TIMEOUT,
        "failureThreshold": failures,
    }


def _head(service: Service, cluster: Cluster) -> str:
    """Comments; whatever stands in them is of one line: the manifest takes no other."""
    manifest = service.manifest
    lines = [f"{manifest.name} {manifest.version} in Kubernetes. Why it is so: docs/kubernetes.md of pyjob."]
    if name := secret_name(service, cluster):
        file = shlex.quote(manifest.secret_runtime_env_file or ".env")
        known = f" ({', '.join(service.secrets)})" if service.secrets else ""
        space = f" --namespace {cluster.namespace}" if cluster.namespace else ""
        lines += [
            "",
            f"The secret variables{known} are not in here. Make them a Secret first:",
            f"  kubectl create secret generic {name}{space} --from-env-file={file}",
            "kubectl takes lines NAME=value as they are. Where yours have quotes, blanks around =, comments",
            "behind values or ${...}, see docs/kubernetes.md, Secrets.",
        ]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


class _Words(str):
    """Text that others chose: always in quotes, since readers of YAML differ in what is no text without."""

    __slots__ = ()


def _words(texts: Mapping[str, str]) -> dict[str, str]:
    return {_Words(name): _Words(text) for name, text in texts.items()}


class _Dumper(yaml.SafeDumper):
    """Quotes `_Words`, and writes what occurs twice twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_representer(
    _Words, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')
)


def _yaml(document: Document) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)
