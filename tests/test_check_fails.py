"""Jobs that do not start: a check has an error for each of them."""

from __future__ import annotations

import pytest

from tests.conftest import MakeJob
from tests.test_check_agreement import Case, cases_of, errors_of, failure_of

TABLE = r"""
=== no class
x = 1

=== a helper alone
class Helper: ...

=== misspelt
class A:
  def preform(self): ...

=== function outside
def perform(x): ...
class A: ...

=== two
class A:
  def perform(self): ...
class B:
  def perform(self): ...

=== two by inheritance
class A:
  def perform(self): ...
class B(A): ...

=== two helpful
class A:
  def metrics(self): ...
class B:
  def metrics(self): ...

=== syntax
class A

=== return outside
return 1
JOB

=== indentation
class A:
def perform(self): ...

=== nul
NULJOB

=== await outside
def f():
  await x
JOB

=== duplicate argument
class A:
  def perform(self, a, a): ...

=== bad future
from __future__ import nothing
JOB

=== only an enum
import enum
class A(enum.Enum):
  def perform(self): ...

=== only abstract
import abc
class A(abc.ABC):
  @abc.abstractmethod
  def perform(self): ...

=== only a protocol
from typing import Protocol
class A(Protocol):
  def perform(self): ...

=== only imported
from other_one import A
--- other_one.py
class A:
  def perform(self): ...

=== perform is a constant
class A:
  perform = 3

=== perform is a property
class A:
  @property
  def perform(self): return len

=== no self
class A:
  def perform(): ...

=== kwargs as self
class A:
  def perform(**kwargs): ...

=== a call in place of a handler
JOB
    def explain(self, x: int) -> float: return x / 2
    def auxiliary_endpoints(self): return {"/explain": self.explain(50)}

=== a call that gives nothing in place of a handler
JOB
    def explain(self): print(1)
    def auxiliary_endpoints(self): return {"/explain": self.explain()}

=== a call in place of a handler of the second kind
from pyjob import EndpointConfig
JOB
    def explain(self, x=1): return {"x": x}
    def auxiliary_endpoints_v2(self): return [EndpointConfig("/explain", "GET", self.explain())]

=== star args
class A:
  def perform(self, *numbers): ...

=== star alone
class A:
  def perform(*args): ...

=== positional-only
class A:
  def perform(self, x, /): ...

=== positional-only static
class A:
  @staticmethod
  def perform(x, /): ...

=== lambda star
class A:
  perform = lambda self, *x: x

=== decorator with star alone
def deco(f):
  def inner(*args): return f(*args)
  return inner
class A:
  @deco
  def perform(self, x): ...

=== init
class A:
  def __init__(self, path): ...
  def perform(self): ...

=== init keyword
class A:
  def __init__(self, *, path): ...
  def perform(self): ...

=== init without self
class A:
  def __init__(): ...
  def perform(self): ...

=== init inherited
class B:
  def __init__(self, x): ...
class A(B):
  def perform(self): ...

=== dataclass fields
from dataclasses import dataclass
@dataclass
class A:
  a: int
  def perform(self): ...

=== missing module
import nothing_of_that_name
JOB

=== missing from
from nothing_of_that_name.x import y
JOB

=== missing in a sibling
import sib
JOB
--- sib.py
import nothing_of_that_name

=== missing submodule
import pkg.nothing
JOB
--- pkg/__init__.py

=== no package
import sib.nothing
JOB
--- sib.py

=== missing name
from sib import nothing
JOB
--- sib.py
something = 1

=== missing name of a package
from pkg import nothing
JOB
--- pkg/part.py

=== name deleted
from sib import a
JOB
--- sib.py
a = 1
del a

=== name announced only
from sib import a
JOB
--- sib.py
a: int

=== broken sibling
import sib
JOB
--- sib.py
def x(:

=== broken sibling of a sibling
import sib
JOB
--- sib.py
from pkg import a
--- pkg/__init__.py
--- pkg/a.py
(

=== relative
from .sib import x
JOB
--- sib.py
x = 1

=== relative of a folder
from . import sib
JOB
--- sib.py
x = 1

=== relative in a sibling
import sib
JOB
--- sib.py
from .two import x
--- two.py
x = 1

=== relative too far
import pkg.a
JOB
--- pkg/__init__.py
--- pkg/a.py
from ..two import x
--- two.py
x = 1

=== named like a module of Python
import logging
JOB
--- logging.py
x = 1

=== undefined annotation
class A:
  def perform(self, x: List[int]): ...

=== undefined base
class A(Model):
  def perform(self): ...

=== undefined decorator
class A:
  @cached
  def perform(self): ...

=== undefined default
class A:
  def perform(self, x=np.pi): ...

=== undefined call
app = Flask(__name__)
JOB

=== undefined in a sibling
import sib
JOB
--- sib.py
x = undefined_name

=== no such class | B
class A:
  def perform(self): ...

=== something else | B
B = 1

=== a function | B
def B(): ...

=== a module | json
import json as B
class A:
  def perform(self): ...

=== no job | J
class J: ...

=== no job, imported | J
from other_one import J
--- other_one.py
class J: ...

=== abstract, named | J
import abc
class J(abc.ABC):
  @abc.abstractmethod
  def perform(self): ...

=== a protocol, named | J
from typing import Protocol
class J(Protocol):
  def perform(self): ...

=== asks for arguments
JOB
    def auxiliary_endpoints(self, x): return {}

=== v2 asks
JOB
    def auxiliary_endpoints_v2(): return []

=== static asks
JOB
    def static_endpoints(self, folder): return {}

=== webview without a base
JOB
    def webview_app(self): return None

=== webview asks for more
JOB
    def webview_app(self, base_url, debug): return None

=== webview keyword
JOB
    def webview_app(self, *, base_url): return None

=== v1 a list
JOB
    def auxiliary_endpoints(self): return ['/a']

=== v1 a list of computed
JOB
    def auxiliary_endpoints(self): return [self.perform]

=== v2 a dict
JOB
    def auxiliary_endpoints_v2(self): return {'/a': self.perform}

=== v2 of tuples
JOB
    def auxiliary_endpoints_v2(self): return [('/a', 'GET', self.perform)]

=== no handler
JOB
    def auxiliary_endpoints(self): return {'/explain': self.explane}
    def explain(self): ...

=== handler no method
JOB
    explain = 3
    def auxiliary_endpoints(self): return {'/explain': self.explain}

=== handler a string
JOB
    def auxiliary_endpoints(self): return {'/explain': 'explain'}

=== handler None
JOB
    def auxiliary_endpoints(self): return {'/explain': None}

=== handler star
JOB
    def explain(self, *a): ...
    def auxiliary_endpoints(self): return {'/explain': self.explain}

=== function handler star
def f(*a): ...
JOB
    def auxiliary_endpoints(self): return {'/explain': f}

=== lambda handler positional
JOB
    def auxiliary_endpoints(self): return {'/explain': lambda x, /: x}

=== braces in v1
JOB
    def auxiliary_endpoints(self): return {'/e/{x}': self.perform}

=== bad path
JOB
    def auxiliary_endpoints(self): return {'/e?x=1': self.perform}

=== no path
JOB
    def auxiliary_endpoints(self): return {1: self.perform}

=== root path
JOB
    def auxiliary_endpoints(self): return {'/': self.perform}

=== twice perform
JOB
    def auxiliary_endpoints(self): return {'/perform': self.perform}

=== twice
JOB
    def auxiliary_endpoints(self): return {'/a': self.perform, 'a': self.perform}

=== twice over kinds
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints(self): return {'/a': self.perform}
    def auxiliary_endpoints_v2(self): return [EndpointConfig('a', 'POST', self.perform)]

=== v2 parameters
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('parameters', 'GET', self.perform)]

=== v2 method
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('a', 'PUT', self.perform)]

=== v2 method of http
import http
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('a', http.HTTPMethod.PATCH, self.perform)]

=== v2 braces
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('/a/{y}', 'GET', self.perform)]

=== v2 braces twice
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('/a/{x}/{x}', 'GET', self.perform)]

=== v2 incomplete
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('/a', self.perform)]

=== v2 options
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('/a', 'GET', self.perform, {'tags': 'x'})]

=== v2 options a list
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('/a', 'GET', self.perform, ['tags'])]

=== static outside
JOB
    def static_endpoints(self): return {'/a': '../x'}

=== static type
JOB
    def static_endpoints(self): return {'/a': ('job.py', 'python')}

=== static number
JOB
    def static_endpoints(self): return {'/a': 3}

=== static list
JOB
    def static_endpoints(self): return ['job.py']

=== static and call
from pyjob import EndpointConfig
JOB
    def a(self): ...
    def auxiliary_endpoints_v2(self): return [EndpointConfig('/a', 'GET', self.a)]
    def static_endpoints(self): return {'/a': 'job.py'}

=== static empty
JOB
    def static_endpoints(self): return {'/a': ''}

=== base of a sibling with star
from base_of import B
class J(B): ...
--- base_of.py
class B:
  def perform(self, *a): ...

=== init of a sibling
from base_of import B
class J(B):
  def perform(self): ...
--- base_of.py
class B:
  def __init__(self, path): ...

=== decorator of a sibling with star alone
import deco_of
class J:
  @deco_of.deco(3)
  def perform(self, x): ...
--- deco_of.py
def deco(n):
  def outer(f):
    def inner(self, *a): return f(self, *a)
    return inner
  return outer

=== undefined in a class body
class J:
  x = undefined_name
  def perform(self): ...

=== undefined annotation of a variable
x: Undefined = 1
JOB

=== undefined return
class J:
  def perform(self) -> Undefined: ...

=== missing after a try
try:
  import json
except ImportError: ...
import nothing_of_that_name
JOB

=== three imports in one
import json, nothing_of_that_name, os
JOB

=== named like a package of pyjob
import werkzeug
JOB
--- werkzeug/__init__.py
x = 1

=== dataclass field inherited
from dataclasses import dataclass
@dataclass
class B:
  a: int
@dataclass
class J(B):
  b: int
  def perform(self): ...

=== positional-only beside self
class J:
  def perform(self, a, /, b): ...

=== kwargs in init required
class J:
  def __init__(self, a, **k): ...
  def perform(self): ...

=== class method without cls
class J:
  @classmethod
  def perform(): ...

=== entry is empty

=== only comments
# nothing here

=== inherited handler star
class B:
  def a(self, *x): ...
class J(B):
  def perform(self): ...
  def auxiliary_endpoints(self): return {'/a': self.a}

=== inherited list of endpoints
class B:
  def auxiliary_endpoints(self): return {'/a': self.missing_one}
class J(B):
  def perform(self): ...

=== async endpoints
JOB
    async def auxiliary_endpoints(self): return {'/a b': self.perform}

=== static of three
JOB
    def static_endpoints(self): return {'/a': ('job.py', 'text/plain', 1)}

=== template in a folder
from pyjob import EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig('/d/{x}', 'GET', self.perform)]
    def static_endpoints(self): return {'/d': '.'}

=== other names in braces
from pyjob import EndpointConfig
JOB
    def a(self, y): ...
    def auxiliary_endpoints_v2(self): return [
        EndpointConfig('/d/{x}', 'GET', self.perform), EndpointConfig('/d/{y}', 'POST', self.a)
    ]

=== handler without self
JOB
    def a(): ...
    def auxiliary_endpoints(self): return {'/a': self.a}

=== static path
JOB
    def static_endpoints(self): return {'/a b': 'job.py'}
"""


@pytest.mark.parametrize("case", cases_of(TABLE), ids=lambda case: case.name)
def test_what_does_not_start_has_an_error(make_job: MakeJob, case: Case) -> None:
    folder = case.make(make_job)
    assert errors_of(folder), failure_of(folder)
    assert failure_of(folder) != ""
