"""The rules that `pyjob check` knows by name; each has its section in docs/rules.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """``principles``: the numbers of those principles of a job (docs/principles.md) that it holds."""

    name: str
    title: str
    principles: tuple[int, ...] = ()


_ALL = (
    Rule("manifest", "job.yaml is there and right in every field", (11,)),
    Rule("manifest-spelling", "no deprecated or unknown spellings", ()),
    Rule("git-remote", "git.remote is an https:// URL", ()),
    Rule("git-directory", "git.directory is where the job is in its repository", (11,)),
    Rule("entry-file", "the entry file is there and is Python", (1,)),
    Rule("entry-class", "it has one class that is the job", (2,)),
    Rule("perform", "the class has a perform method", (3,)),
    Rule("annotations", "parameters have type annotations", (4,)),
    Rule("named-parameters", "callers can name every parameter", (5,)),
    Rule("star-args", "no *args", (6,)),
    Rule("docstring", "methods say what they take and give", (7,)),
    Rule("init-arguments", "the class is made without arguments", (8,)),
    Rule("relative-paths", "files are opened by relative paths", (10,)),
    Rule("requirements", "requirements are there, well-formed and installed", (12,)),
    Rule("imports", "every import leads somewhere", (12,)),
    Rule("files-in-git", "what the job needs is in its repository", (13,)),
    Rule("sample", "there is a sample payload", (14,)),
    Rule("broken-sample", "sample payloads work", (14,)),
    Rule("endpoints", "auxiliary endpoints are well-formed", (15,)),
    Rule("static-files", "static endpoints lead to files of the job", (16,)),
    Rule("mime-type", "static files have a mime type", (16,)),
    Rule("metrics", "metrics() gives what Prometheus can read", (17,)),
    Rule("environment", "variables and env files are right", (18,)),
    Rule("secrets-in-git", "secret files stay out of git", (18,)),
    Rule("stateless", "calls leave nothing behind", (19,)),
    Rule("start", "the job loads", ()),
)

RULES = {rule.name: rule for rule in _ALL}
