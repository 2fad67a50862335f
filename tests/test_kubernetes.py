"""`pyjob render kubernetes`: held to the schemas of several versions, and to what schemas do not say."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

from pyjob.cli import main
from pyjob.cli.render import cluster
from pyjob.deploy.service import dns_label, versioned_label
from pyjob.environment import environment_of
from pyjob.manifest import find_manifest
from pyjob.manifest.manifest import valid_name
from tests.conftest import MakeJob
from tests.documents import REPO
from tests.servers import ask, pyjob_run, started

JOB = "class Job:\n    def perform(self): return 1\n"
# From the oldest that clusters still run to the newest whose schemas are known.
OLDEST, NEWEST = "1.25", "newest"
VERSIONS = [OLDEST, "1.31", NEWEST]
FULL = """
version: 1.2.3
replicas: 3
runtime_env: {REGION: eu-west, LIMIT: "10"}
secret_runtime_env_file: .env
labels: {team: pricing, tier: 2, notes: "sells, and buys", "kubernetes.io/x": y, "bad name": z}
resources: {memory_min: 256Mi, memory_max: 1Gi, cpu_min: 100m, cpu_max: "2"}
"""
SECRET = "hunter2-hunter2"
# What readers of YAML take for something else than text, or what leads out of it.
WORDS = [
    "1",
    "010",
    "0o17",
    "0x1F",
    "1e3",
    "1e+3",
    "1_000",
    "12:30:45",
    ".inf",
    "~",
    "null",
    "",
    " ",
    "y",
    "on",
]
WORDS += [
    "{{ x }}",
    "a: b",
    "# c",
    "- d",
    "*e",
    "&f",
    "!g",
    "%h",
    "@i",
    "`j`",
    "|",
    ">",
    "=",
    "<<",
    "---",
    "...",
]
WORDS += [
    "a\nb",
    "\n---\nkind: Pod\n",
    "a\r\nb",
    "\t",
    '"',
    "'",
    "\\",
    "\u2028",
    "\u0085",
    "\ufeff",
    "é",
    "😀",
    "\x01",
]
LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1035
NAME_OF_LABEL = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VALUE_OF_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

Rendered = Callable[..., dict[str, Any]]


@pytest.fixture
def printed(make_job: MakeJob, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """What is printed for a job with ``fields``, and said beside it."""

    def printed(fields: str = "", *options: str, files: Mapping[str, str] | None = None) -> tuple[str, str]:
        job = make_job(JOB, fields=fields, files=dict(files or {}))
        assert main(["render", "kubernetes", str(job), "--image", "house:1", *options]) == 0
        told = capsys.readouterr()
        return told.out, told.err

    return printed


@pytest.fixture
def rendered(printed: Callable[..., tuple[str, str]]) -> Rendered:
    """The documents by their kinds."""

    def rendered(fields: str = "", *options: str, files: Mapping[str, str] | None = None) -> dict[str, Any]:
        return {one["kind"]: one for one in yaml.safe_load_all(printed(fields, *options, files=files)[0])}

    return rendered


def container_of(documents: Mapping[str, Any]) -> dict[str, Any]:
    [container] = pod_of(documents)["containers"]
    found: dict[str, Any] = container
    return found


def pod_of(documents: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = documents["Deployment"]["spec"]["template"]["spec"]
    return found


# What a cluster takes.


def validated(document: dict[str, Any], version: str) -> None:
    """Hold ``document`` to the schema of ``version``, strictly: unknown fields are errors."""
    validator = pytest.importorskip("kubernetes_validate")
    asked = ".".join(validator.latest_version().split(".")[:2]) if version == NEWEST else version
    found: str = validator.validate(document, asked, strict=True)
    # Where it has no schemas of a version, it takes those of an older one.
    assert found == asked


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_printed_is_valid_in_old_and_new_clusters(rendered: Rendered, version: str) -> None:
    full = rendered(FULL, "--namespace", "models", files={".env": f"TOKEN={SECRET}\n"})
    assert [*full] == ["ConfigMap", "Deployment", "Service", "PodDisruptionBudget"]
    least = rendered()
    assert [*least] == ["Deployment", "Service"]
    for document in (*full.values(), *least.values()):
        validated(document, version)


def test_a_kind_without_a_schema_and_a_field_that_is_none_do_not_pass(rendered: Rendered) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    with pytest.raises(validator.SchemaNotFoundError):
        validated({"apiVersion": "v1", "kind": "House", "metadata": {}}, OLDEST)
    # An API that was taken out has no schema any more.
    with pytest.raises(validator.SchemaNotFoundError):
        validated({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget"}, OLDEST)
    documents = rendered()
    container_of(documents)["liveProbe"] = {}
    with pytest.raises(validator.ValidationError, match="liveProbe"):
        validated(documents["Deployment"], NEWEST)


def test_objects_belong_together(rendered: Rendered) -> None:
    documents = rendered(FULL)
    names = {one["metadata"]["name"] for one in documents.values()}
    assert names == {
        f"{dns_label(documents['Service']['spec']['selector']['app.kubernetes.io/name'])}-v1-2-3"
    }
    selectors = [documents["Service"]["spec"]["selector"]]
    selectors += [
        documents[kind]["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")
    ]
    of_pods = documents["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in selectors:
        assert selector == selectors[0]
        assert selector.items() <= of_pods.items()
    container = container_of(documents)
    [port] = container["ports"]
    [served] = documents["Service"]["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    assert container["args"][:2] == ["--port", str(port["containerPort"])]
    assert {one["name"] for one in container["volumeMounts"]} == {
        one["name"] for one in pod_of(documents)["volumes"]
    }
    assert container["envFrom"][0] == {"configMapRef": {"name": documents["ConfigMap"]["metadata"]["name"]}}


def test_versions_live_side_by_side_and_under_a_name_of_its_own_one_replaces_another(
    rendered: Rendered,
) -> None:
    def selector(version: str, *options: str) -> dict[str, str]:
        found: dict[str, str] = rendered(f"version: {version}", *options)["Service"]["spec"]["selector"]
        return {**found, "app.kubernetes.io/name": "the job's"}

    assert selector("1.0.0") != selector("1.0.1")
    assert selector("1.0.0", "--name", "house") == selector("1.0.1", "--name", "house")


NAMES = st.text("aBv1-._", min_size=1, max_size=70).map(valid_name)
NUMBERS = st.integers(0, 11)
VERSIONS_OF_JOBS = st.builds(
    "{}.{}.{}{}".format, NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["", "-rc.1", "-rc-1", "-1", "+1"])
)


@given(st.lists(st.tuples(NAMES, VERSIONS_OF_JOBS), max_size=6, unique=True))
def test_names_are_labels_and_no_two_jobs_have_the_same(jobs: list[tuple[str, str]]) -> None:
    labels = [versioned_label(*job) for job in jobs]
    assert len({*labels}) == len(jobs)
    assert all(map(LABEL.fullmatch, [*labels, *(dns_label(name) for name, _ in jobs)]))
    assert len({dns_label(name) for name, _ in jobs}) == len({name for name, _ in jobs})


# What others wrote into a manifest.


@pytest.mark.parametrize("where", ["runtime_env", "labels"])
def test_text_of_the_manifest_stays_text(printed: Callable[..., tuple[str, str]], where: str) -> None:
    values = {f"N{number}": word for number, word in enumerate(WORDS)}
    values |= dict.fromkeys(("y", "on", "null", "E1"), "name")
    text, _ = printed(yaml.safe_dump({where: values}))
    documents = {one["kind"]: one for one in yaml.safe_load_all(text)}
    if where == "runtime_env":
        found = documents["ConfigMap"]["data"]
        assert found == values
    else:
        metadata = documents["Deployment"]["metadata"]
        found = metadata["labels"] | metadata["annotations"]
        printable = {name: word for name, word in values.items() if word.isprintable()}
        assert printable.items() <= found.items()
        assert values.keys() <= found.keys()
    assert {"Deployment", "Service"} <= documents.keys() <= {"ConfigMap", "Deployment", "Service"}
    # Other readers than ours find something else in some words without quotes.
    written = [pair for pair in pairs_of(text) if pair[0].value in values]
    assert len(written) >= len(values)
    assert {node.style for pair in written for node in pair} == {'"'}


def pairs_of(text: str) -> Iterator[tuple[yaml.ScalarNode, yaml.ScalarNode]]:
    """Names and values as they are written in ``text``, where both are scalars."""
    left: list[Any] = [*yaml.compose_all(text, Loader=yaml.SafeLoader)]
    while left:
        node = left.pop()
        if isinstance(node, yaml.MappingNode):
            yield from (pair for pair in node.value if isinstance(pair[1], yaml.ScalarNode))
            left += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            left += node.value


def test_labels_that_kubernetes_takes_are_labels_and_others_annotations_or_left_out(
    rendered: Rendered, printed: Callable[..., tuple[str, str]]
) -> None:
    documents = rendered(FULL)
    metadata = documents["Deployment"]["metadata"]
    assert {"team": "pricing", "tier": "2"}.items() <= metadata["labels"].items()
    assert metadata["annotations"] == {"notes": "sells, and buys"}
    assert "notes" not in documents["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    for one in documents.values():
        for name, value in one["metadata"]["labels"].items():
            assert NAME_OF_LABEL.fullmatch(name)
            assert VALUE_OF_LABEL.fullmatch(value)
    told = printed(FULL)[1]
    assert "labels: 'kubernetes.io/x': left out, since such names belong to Kubernetes" in told
    assert "labels: 'bad name': left out, since Kubernetes takes no such name" in told


def test_a_version_that_is_no_label_becomes_one(rendered: Rendered) -> None:
    for version in (f"1.0.0-{'a' * 70}", "1.0.0-rc.1+build.5", f"1.0.0-{'x-' * 40}"):
        labels = rendered(f"version: {version}")["Service"]["metadata"]["labels"]
        assert VALUE_OF_LABEL.fullmatch(labels["app.kubernetes.io/version"])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("500m", "500m"),
        ("1.5", "1.5"),
        (".5", ".5"),
        ("2K", "2k"),
        ("7p", "1n"),
        ("1500p", "2n"),
        ("3n", "3n"),
    ],
)
def test_quantities_are_in_units_that_kubernetes_has(rendered: Rendered, written: str, expected: str) -> None:
    resources = container_of(rendered(f"resources: {{cpu_min: {written!r}}}"))["resources"]
    assert resources == {"requests": {"cpu": expected}}


def test_memory_of_less_than_a_byte_is_refused_with_its_field(
    make_job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    job = make_job(JOB, fields="resources: {memory_max: 500m}")
    assert main(["render", "kubernetes", str(job), "--image", "house:1"]) == 1
    told = capsys.readouterr()
    assert "resources.memory_max: expected a whole number of bytes, such as 256Mi" in told.err
    assert not told.out


def test_without_resources_there_are_none(rendered: Rendered) -> None:
    assert "resources" not in container_of(rendered())


def test_a_name_that_some_take_for_true_stays_a_name(printed: Callable[..., tuple[str, str]]) -> None:
    """In YAML 1.1, `y` is a boolean; PyYAML thinks otherwise, kubectl does not."""
    text, _ = printed("secret_runtime_env_file: .env", "--name", "y", "--namespace", "n", "--secret", "n")
    written = [value for _, value in pairs_of(text) if value.value in ("y", "n")]
    assert len(written) > 5
    assert {node.style for node in written} == {'"'}


# Secrets.


@pytest.mark.parametrize("template", [True, False])
def test_secrets_are_told_by_name_and_never_by_value(
    printed: Callable[..., tuple[str, str]], template: bool
) -> None:
    files = {".env": f"TOKEN={SECRET}\nOTHER='{SECRET}'\n"} | (
        {".env.dist": "TOKEN=fill-in\n"} if template else {}
    )
    out, err = printed(FULL, "--secret", "keys", "--namespace", "models", files=files)
    assert SECRET not in out + err
    assert "fill-in" not in out + err
    names = "TOKEN" if template else "TOKEN, OTHER"
    assert f"# The secret variables ({names}) are not in here" in out
    assert "#   kubectl create secret generic keys --namespace models --from-env-file=.env\n" in out
    [deployment] = [one for one in yaml.safe_load_all(out) if one["kind"] == "Deployment"]
    container = container_of({"Deployment": deployment})
    assert container["envFrom"][-1] == {"secretRef": {"name": "keys"}}
    assert container["env"] == [{"name": "PYJOB_SECRETS", "value": "environment"}]


def test_where_the_names_of_secrets_are_not_known_that_is_said(
    printed: Callable[..., tuple[str, str]],
) -> None:
    out, err = printed(FULL)
    assert "# The secret variables are not in here" in out
    assert (
        ".env: neither it nor .env.dist is there, so the names of the secret variables are not known" in err
    )


def test_a_job_without_secrets_needs_no_secret(printed: Callable[..., tuple[str, str]]) -> None:
    assert "ecretRef" not in printed("version: 1.0.0")[0]


@pytest.mark.parametrize("secret", ["", "secret_runtime_env_file: .env\n"])
def test_the_config_map_wins_over_the_manifest_in_the_image(
    make_job: MakeJob, rendered: Rendered, secret: str
) -> None:
    fields = "runtime_env: {REGION: of-the-image}\n" + secret
    container = container_of(rendered(fields))
    inherited = {one["name"]: one["value"] for one in container["env"]} | {"REGION": "of-the-cluster"}
    job = make_job(JOB, fields=fields)
    manifest = find_manifest(job, environ={}, cwd=job)
    assert "REGION" not in environment_of(manifest, inherited, cwd=job).variables


def test_another_runtime_env_starts_other_pods(rendered: Rendered) -> None:
    def checksum(value: str) -> str:
        template = rendered(f"runtime_env: {{A: {value}}}")["Deployment"]["spec"]["template"]
        found: str = template["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum("one") != checksum("two")


# What the pods run, and how they end.


def test_pods_may_do_little(rendered: Rendered) -> None:
    documents = rendered()
    pod, container = pod_of(documents), container_of(documents)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {one["mountPath"] for one in container["volumeMounts"]} == {"/job", "/tmp"}
    assert all(one["emptyDir"] == {} for one in pod["volumes"])


@pytest.mark.parametrize("times", [(), ("--grace", "600.5", "--drain-delay", "20")])
def test_a_pod_is_killed_only_after_delay_and_grace(rendered: Rendered, times: tuple[str, ...]) -> None:
    documents = rendered("", *times)
    arguments = container_of(documents)["args"]
    delay, grace = (float(arguments[arguments.index(name) + 1]) for name in ("--drain-delay", "--grace"))
    assert pod_of(documents)["terminationGracePeriodSeconds"] >= delay + grace + 5
    assert delay > 0


def test_the_probes_find_a_job_that_loads_alive_and_one_that_has_loaded_ready(
    make_job: MakeJob, rendered: Rendered, tmp_path: Path
) -> None:
    """A job may load for as long as it likes: only readiness waits for it."""
    until = tmp_path / "until"
    loading = f"while not pathlib.Path({str(until)!r}).exists():\n    time.sleep(0.01)\n"
    code = f"import pathlib, time\n{loading}{JOB}"
    documents = rendered("", "--drain-delay", "0")
    container = container_of(documents)
    probes = [container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert {probe["port"] for probe in probes} == {container["ports"][0]["name"]}
    paths = [probe["path"] for probe in probes]
    options = [*container["args"][container["args"].index("--grace") :]]
    with started(pyjob_run(make_job(code), *options)) as server:
        assert [ask(server, "GET", path)[0] for path in paths] == [200, 200, 500]
        until.touch()
        server.wait_until(paths[2], 200)
        assert [ask(server, "GET", path)[0] for path in paths] == [200, 200, 200]
        scraped = documents["Deployment"]["spec"]["template"]["metadata"]["annotations"]
        assert ask(server, "GET", scraped["prometheus.io/path"])[0] == 200
        assert scraped["prometheus.io/port"] == str(container["ports"][0]["containerPort"])


# The command.


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--image", "a b"),
        ("--image", "a\nb"),
        ("--image", ""),
        ("--name", "House"),
        ("--name", "1st"),
        ("--name", "a" * 64),
        ("--namespace", "a.b"),
        ("--secret", "-a"),
        ("--port", "0"),
        ("--grace", "-1"),
    ],
)
def test_values_that_kubernetes_would_not_take_are_wrong_usage(
    capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["render", "kubernetes", "--image", "house:1", option, value])
    assert ended.value.code == 2
    assert f"argument {option}: expected" in capsys.readouterr().err


def test_a_port_of_ones_own_is_that_of_everything(rendered: Rendered) -> None:
    documents = rendered("", "--port", "8080")
    assert documents["Service"]["spec"]["ports"][0]["port"] == 8080
    assert container_of(documents)["ports"][0]["containerPort"] == 8080
    assert container_of(documents)["args"][:2] == ["--port", "8080"]


@pytest.mark.parametrize(("kind", "document"), [("kubernetes", "kubernetes.md"), ("nginx", "scale.md")])
def test_every_option_has_its_line_in_the_documents(kind: str, document: str) -> None:
    parser = argparse.ArgumentParser()
    kinds = parser.add_subparsers()
    cluster.add_to(kinds)
    options = {name for name in kinds.choices[kind]._option_string_actions if name.startswith("--")}
    rows = re.findall(r"^\| (`.*?) \|", (REPO / "docs" / document).read_text(encoding="utf-8"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(--[a-z-]+)", row)}
    assert options - {"--help"} <= told
