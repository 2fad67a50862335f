"""Jobs that start, plain ones and odd ones: a check has no error for any of them."""

from __future__ import annotations

import pytest

from tests.conftest import MakeJob
from tests.test_check_agreement import Case, cases_of, errors_of, failure_of

TABLE = r"""
=== plain
JOB

=== async
class J:
  async def perform(self): ...

=== alias of a method
class J:
  def _perform(self, x): ...
  perform = _perform

=== function as method
def f(self, x): ...
class J:
  perform = f

=== lambda
class J:
  perform = lambda self, x: x

=== partial method
import functools
def run(n, x): ...
class J:
  perform = staticmethod(functools.partial(run, 1))

=== static
class J:
  @staticmethod
  def perform(): ...

=== class method
class J:
  @classmethod
  def perform(cls, x): ...

=== kwargs alone
class J:
  def perform(self, **kwargs): ...

=== keyword-only
class J:
  def perform(self, *, x): ...

=== self before the slash
class J:
  def perform(self, /, x): ...

=== cached
import functools
class J:
  @functools.lru_cache(maxsize=3)
  def perform(self, x): ...

=== inherited
class B:
  def perform(self): ...
class J(B): ...
del B

=== inherited of a sibling
from base_of import B
class J(B): ...
--- base_of.py
class B:
  def perform(self): ...

=== inherited by module
import base_of as b
class J(b.B): ...
--- base_of.py
class B:
  def perform(self): ...

=== inherited through a package
from pkg import B
class J(B): ...
--- pkg/__init__.py
from .inner import B
--- pkg/inner.py
class B:
  def perform(self): ...

=== misspelt beside metrics
class J:
  def preform(self, x): ...
  def metrics(self): return []

=== misspelt optional methods
JOB
    def metric(self): return []
    def auxilary_endpoints(self): return {}
    def webview(self, base_url): ...

=== a method that gives a method
JOB
    def choose(self): return self.perform
    def made(self, x: int):
        def inner(y): return x + y
        return inner
    def auxiliary_endpoints(self): return {"/a": self.choose(), "/b": self.made(1)}

=== a handler of a method that lies about what it gives
JOB
    def made(self) -> dict:
        def inner(y): return y
        return inner
    def other(self) -> str: return lambda y: y
    def auxiliary_endpoints(self): return {"/a": self.made(), "/b": self.other()}

=== a file that is not there and not missed
import contextlib
with contextlib.suppress(OSError):
    open("missing.bin")
JOB

=== only metrics
class J:
  def metrics(self): return []

=== helpers do not count
import abc, dataclasses, enum
from typing import NamedTuple, Protocol, TypedDict
class Color(enum.Enum):
    RED = 1
    def perform(self): ...
@dataclasses.dataclass
class Step:
    a: int
    def perform(self): ...
class Performs(Protocol):
    def perform(self): ...
class Base(abc.ABC):
    @abc.abstractmethod
    def perform(self): ...
class Row(NamedTuple):
    a: int
class Options(TypedDict):
    a: int
class Problem(Exception): ...
class J(Base):
    def perform(self): ...
Alias = J

=== a dataclass is the job
import dataclasses
@dataclasses.dataclass
class J:
  a: int = 1
  def perform(self): ...

=== made by type
def perform(self): ...
J = type('J', (), {'perform': perform})

=== made by a function
def make():
  class J:
    def perform(self): ...
  return J
J = make()

=== made dynamically
class J: ...
setattr(J, 'perform', lambda self: 1)

=== set on the class
class J: ...
def run(self): ...
J.perform = run

=== set by a function
class J: ...
def patch(cls):
  cls.perform = lambda self: 1
patch(J)

=== class decorator
def job(cls):
  cls.perform = lambda self: 1
  return cls
@job
class J: ...

=== class decorator replaces
class Real:
  def metrics(self): ...
def job(cls):
  class Wrapped(cls):
    def perform(self): ...
  return Wrapped
@job
class J: ...

=== metaclass
class M(type):
  def __new__(m, n, b, d): return super().__new__(m, n, b, d | {'perform': lambda self: 1})
class J(metaclass=M): ...

=== init_subclass
class B:
  def __init_subclass__(cls): cls.perform = lambda self: 1
class J(B): ...

=== in a try
try:
  import nothing_of_that_name
except ImportError:
  class J:
    def perform(self): ...

=== in an if
import sys
if sys.version_info > (3,):
  class J:
    def perform(self): ...
else:
  class J: ...

=== method in an if
class J:
  if True:
    def perform(self): ...

=== bound anew
class J:
  def perform(self, *a): ...
class J:
  def perform(self): ...

=== deleted
class A:
  def perform(self): ...
class B:
  def perform(self): ...
del A

=== by globals
globals()['J'] = type('J', (), {'perform': lambda self: 1})

=== by exec
exec('class J:\n  def perform(self): ...')

=== new gives another | J
class Real:
  def __init__(self): ...
  def perform(self): ...
class J:
  def __new__(cls): return Real()
  def perform(self, *args): ...

=== instance method
class J:
  def metrics(self): ...
  def __init__(self): self.perform = lambda x: x

=== instance method wins
class J:
  def perform(self, *args): ...
  def __init__(self): self.perform = lambda x: x

=== main guard
JOB
if __name__ == '__main__':
  import pyjob
  from nowhere_at_all import x
  pyjob.serve(Job)

=== near miss beside a job
class A:
  def preform(self): ...
class J:
  def perform(self): ...

=== optional import
try:
  import nothing_of_that_name
except ImportError:
  nothing_of_that_name = None
JOB

=== suppressed import
import contextlib
with contextlib.suppress(ImportError):
  import nothing_of_that_name
JOB

=== type checking
from typing import TYPE_CHECKING
if TYPE_CHECKING:
  import nothing_of_that_name
JOB

=== late import
class J:
  def perform(self):
    import nothing_of_that_name

=== lib on the path
import sys, pathlib
sys.path.insert(0, str(pathlib.Path(__file__).parent / 'lib'))
import inside_lib
JOB
--- lib/inside_lib.py

=== namespace package
import space.part
from space import other
JOB
--- space/part.py
--- space/other.py

=== name by star
from stars import *
JOB
y = star_name
--- stars.py
star_name = 1

=== star of the library
from typing import *
class J:
  def perform(self, x: List[int]): ...

=== module getattr
from lazy_one import anything
JOB
--- lazy_one.py
def __getattr__(name):
  if name == 'anything': return 1
  raise AttributeError(name)

=== names of a sibling's conditions
from cond import a, b, c
JOB
--- cond.py
try:
  a = 1
finally:
  b = 2
for c in [1]: pass

=== relative in a nested entry
--- inner/job.py
from .beside import x
JOB
--- inner/beside.py
x = 1

=== entry without a suffix
--- job_script
JOB

=== sibling is the entry
import sib
JOB
--- sib.py
import job

=== imported class | Imported
from other_one import Imported
--- other_one.py
class Imported:
  def perform(self): ...

=== from elsewhere | J
from string import Formatter as J
J.metrics = lambda self: []

=== star imported class | Imported
from other_one import *
--- other_one.py
class Imported:
  def perform(self): ...

=== property | J
class J:
  @property
  def perform(self): return lambda x: x

=== only by getattr | J
class J:
  def __getattr__(self, name):
    if name == 'perform': return lambda x: x
    raise AttributeError

=== module getattr for the class | J
class A:
  def perform(self): ...
def __getattr__(name):
  if name == 'J': return A
  raise AttributeError(name)

=== only metrics, named | J
class J:
  def metrics(self): return []

=== two, one named | B
class A:
  def perform(self): ...
class B:
  def perform(self): ...

=== defaults in init
JOB
    def __init__(self, a=1, *b, c=2, **d): ...

=== wraps
import functools
def deco(f):
    @functools.wraps(f)
    def inner(*a, **k): return f(*a, **k)
    return inner
JOB
    @deco
    def other(self, x): ...
    def auxiliary_endpoints(self): return {'/other': self.other}

=== registering decorator
ALL = []
def deco(f):
    ALL.append(f)
    return f
JOB
    @deco
    def other(self, x): ...
    def auxiliary_endpoints(self): return {'/other': self.other}

=== auxiliary
def f(y): ...
JOB
    def a(self, y): ...
    def auxiliary_endpoints(self): return {'a': self.a, '/b/c': self.a, 'l': lambda z: z, 'f': f}

=== auxiliary None
JOB
    def auxiliary_endpoints(self): return None
    def auxiliary_endpoints_v2(self): return []
    def static_endpoints(self): return {}
    def metrics(self): return None
    def webview_app(self, base_url): return None

=== handler on the instance
JOB
    def __init__(self): self.h = lambda x: x
    def auxiliary_endpoints(self): return {'/h': self.h}

=== handler set by name
JOB
    def __init__(self): setattr(self, 'h', lambda x: x)
    def auxiliary_endpoints(self): return {'/h': self.h}

=== handler set by another
def install(job): job.h = lambda x: x
JOB
    def __init__(self): install(self)
    def auxiliary_endpoints(self): return {'/h': self.h}

=== local handler
def f(*args): ...
JOB
    def auxiliary_endpoints(self):
        f = lambda x: x
        return {'/h': f}

=== v2
import pyjob
from http import HTTPMethod
from pyjob import EndpointConfig
JOB
    def a(self, item, n: int = 1): ...
    def auxiliary_endpoints_v2(self): return [
        EndpointConfig('/i/{item}', HTTPMethod.GET, self.a),
        EndpointConfig('/i/{item}', 'post', self.a, {'tags': ['x'], 'odd': 1}),
        pyjob.EndpointConfig(path='/z', method='GET', handler=self.a),
    ]

=== v2 of its own
class EndpointConfig:
    def __init__(self, n, p): self.path, self.method, self.handler = p, 'GET', EndpointConfig
JOB
    def auxiliary_endpoints_v2(self): return [EndpointConfig(1, '/x')]

=== static files
JOB
    def static_endpoints(self): return {
        '/m': 'job.yaml', 'f': ('job.py', 'text/x-python; charset=utf-8'), '/missing': 'missing.txt',
        '/d': '.'
    }

=== get_metrics with defaults
JOB
    def metrics(self, verbose=False): return []

=== samples
JOB
    def docs_input_example(self): return {'x': 2.0}

=== webview with more
JOB
    def webview_app(self, base, debug=False, **more): return None

=== coding cookie
# -*- coding: latin-1 -*-
JOB

=== string annotations
class J:
  def perform(self, x: 'Unknown'): ...

=== future annotations
from __future__ import annotations
class J:
  def perform(self, x: Unknown, y: List[int]): ...

=== builtin base
class J(dict):
  def perform(self): ...

=== mixins
class A:
  def __init__(self): ...
class B:
  def __init__(self, x): ...
class J(A, B):
  def perform(self): ...

=== diamond
class A:
  def perform(self, *a): ...
class B(A): ...
class C(A):
  def perform(self): ...
class J(B, C): ...
del A, B, C

=== same name as its base
from base_of import J
class J(J): ...
--- base_of.py
class J:
  def perform(self): ...

=== global rebinds
class J: ...
def go():
  global J
  class J:
    def perform(self): ...
go()

=== walrus
(J := type('J', (), {'perform': lambda self: 1}))

=== tuple assignment
J, K = type('J', (), {'perform': lambda self: 1}), 2

=== nested class name as annotation
class J:
  class In: ...
  def perform(self, x: In): ...

=== name after an or
x = True or undefined_name
JOB

=== comprehension names
x = [a for a in range(3)]
y = {b: c for b, c in []}
JOB

=== nested performing class
class J:
  class perform:
    def __init__(self, x): ...

=== a config module set from outside
import conf
conf.LIMIT = 3
from conf import LIMIT
JOB
--- conf.py

=== a sibling that is compiled
import thing
JOB
--- thing/__init__.py
--- data/x.txt

=== an empty folder
import data
JOB
--- data/x.txt

=== generator metrics
class J:
  def perform(self): ...
  def metrics(self):
    yield {'name': 'a', 'value': 1}

=== decorator of the library
import contextlib
class J:
  @contextlib.contextmanager
  def perform(self, x): yield

=== lower-case named
class job:
  def perform(self): ...

=== perform is None beside metrics
class J:
  perform = None
  def metrics(self): return []

=== slots
class J:
  __slots__ = ('a',)
  def perform(self): ...

=== generic base
from typing import Generic, TypeVar
T = TypeVar('T')
class J(Generic[T]):
  def perform(self): ...

=== imports twice
import os, os.path
import xml.dom
import xml.sax
x = os.path.join('a')
y = xml.sax.handler
JOB

=== overloads
from typing import overload
class J:
  @overload
  def perform(self, x: int): ...
  @overload
  def perform(self, x: str): ...
  def perform(self, x): ...

=== property with a setter
class J:
  @property
  def a(self): ...
  @a.setter
  def a(self, x): ...
  def perform(self): ...

=== dataclass with all defaults
from dataclasses import dataclass, field
from typing import ClassVar
@dataclass
class J:
  N: ClassVar[int]
  a: list = field(default_factory=list)
  def perform(self): ...

=== dataclass without init
from dataclasses import dataclass
@dataclass(init=False)
class J:
  a: int
  def perform(self): ...

=== dataclass with its own init
from dataclasses import dataclass
@dataclass
class J:
  a: int
  def __init__(self): ...
  def perform(self): ...

=== named tuple
from typing import NamedTuple
class J(NamedTuple):
  a: int = 1
  def perform(self): ...

=== thread
import threading
class J(threading.Thread):
  def __init__(self): super().__init__()
  def perform(self): ...

=== decorator in a try
try:
  from numba_or_so import njit
except ImportError:
  def njit(f): return f
class J:
  @njit
  def perform(self, x): ...

=== decorator that is a class
class deco:
  def __init__(self, f): self.f = f
  def __call__(self, **k): ...
class J:
  @deco
  def perform(self, *x): ...

=== decorator of a sibling
from deco_of import deco
class J:
  @deco(3)
  def perform(self, x): ...
--- deco_of.py
import functools as ft
def deco(n):
  def outer(f):
    @ft.wraps(f)
    def inner(self, *a, **k): return f(self, *a, **k)
    return inner
  return outer

=== decorator that sets the signature
import inspect
def deco(f):
  def inner(*a): ...
  inner.__signature__ = inspect.signature(f)
  return inner
class J:
  @deco
  def perform(self, x): ...

=== decorator that updates its wrapper
import functools
def deco(f):
  def inner(*a): ...
  return functools.update_wrapper(inner, f)
class J:
  @deco
  def perform(self, x): ...

=== decorator that gives one of two
def deco(f):
  def inner(*a): ...
  if f:
    return f
  return inner
class J:
  @deco
  def perform(self, x): ...

=== decorator with named parameters
def deco(f):
  def inner(self, x): return f(self, x)
  return inner
class J:
  @deco
  def perform(self, *x): ...

=== staticmethod called
def f(): ...
class J:
  perform = staticmethod(f)

=== match
match 1:
  case x:
    class J:
      def perform(self): ...

=== with
with open('job.yaml') as f:
  TEXT = f.read()
x = TEXT, f
JOB

=== locals in a class
class J:
  for n in ['perform']: locals()[n] = lambda self: 1

=== import in a class
class J:
  from other_one import perform
--- other_one.py
def perform(self): ...

=== base that is called
def make(): return type('B', (), {'perform': lambda self: 1})
class J(make()): ...

=== starred bases
class B:
  def metrics(self): ...
BASES = [B]
class J(*BASES):
  def perform(self): ...

=== functional enum
from enum import Enum
from collections import namedtuple
Color = Enum('Color', 'A B')
P = namedtuple('P', 'x')
JOB

=== only an alias is left
class A:
  def perform(self): ...
J = A
del A

=== changed in a loop
class J: ...
for cls in [J]: cls.perform = lambda self: 1

=== base changed from outside
import base_of
base_of.B.perform = lambda self: 1
class J(base_of.B): ...
--- base_of.py
class B: ...

=== method wrapped later
class J:
  def perform(self, *a): ...
J.perform = lambda self, x: x

=== in a registry
class J: ...
REGISTRY = {'j': J}
for c in REGISTRY.values(): c.perform = lambda self: 1

=== dash in the entry's name
--- my-job.py
JOB

=== entry of a package
--- pack/__init__.py
from . import beside
JOB
--- pack/beside.py
x = 1

=== import by name
import importlib
sib = importlib.import_module('sib')
x = sib.x
JOB
--- sib.py
x = 1

=== circle
import sib
JOB
--- sib.py
import two
--- two.py
import sib

=== deleted and used before
import os
HERE = os.getcwd()
del os
JOB

=== loop variable
for i in range(3): pass
x = i
JOB

=== exception name
try:
  1 / 0
except ZeroDivisionError as e:
  x = e
y = x
JOB

=== global of a function
def f():
  global LATE
  LATE = 1
f()
x = LATE
JOB

=== special names
x = __name__, __file__, __doc__, __spec__, __builtins__
class J:
  y = __module__, __qualname__
  def perform(self): ...

=== class names in its body
class J:
  A = 1
  B = A
  def perform(self, x=A): ...

=== submodule by attribute
import pkg.part
x = pkg.part.y
from pkg.part import y
JOB
--- pkg/__init__.py
--- pkg/part.py
y = 1

=== package without its parts
from pkg import part as p, z
JOB
--- pkg/__init__.py
from .part import *
--- pkg/part.py
z = 1

=== relative inside a package
import pkg
JOB
--- pkg/__init__.py
from .a import x
from . import b
--- pkg/a.py
from .b import x
from . import b
--- pkg/b.py
x = 1

=== names of the library
from os import path
from typing import List as x
JOB

=== lambda default
f = lambda: undefined_name
def g(): return undefined_name
JOB

=== two, one in the guard
JOB
if __name__ == '__main__':
  class Other:
    def perform(self): ...

=== a class in a method
class J:
  def perform(self):
    class Other:
      def perform(self): ...

=== async auxiliary
JOB
    def a(self, y): ...
    async def auxiliary_endpoints(self): return {'a': self.a}

=== static auxiliary
JOB
    @staticmethod
    def auxiliary_endpoints(): return {'a': lambda x: x}

=== handlers of the class
JOB
    def a(self, y): ...
    def auxiliary_endpoints(self): return {'a': Job.a, 'b': type(self).a}

=== handlers of super
class B:
  def a(self, y): ...
  def auxiliary_endpoints(self): return {'a': self.a}
class J(B):
  def perform(self): ...
  def auxiliary_endpoints(self): return {**super().auxiliary_endpoints(), 'b': super().a}

=== endpoints in steps
JOB
    def auxiliary_endpoints(self):
        found = {'/a': self.missing_one} if False else {}
        return found

=== endpoints on a condition
JOB
    def auxiliary_endpoints(self):
        if not self.perform:
            return {'/a': self.missing_one}

=== handler from getattr
JOB
    def __getattr__(self, name):
        if name == 'h': return lambda x: x
        raise AttributeError(name)
    def auxiliary_endpoints(self): return {'/h': self.h}

=== handler of a property
JOB
    @property
    def h(self): return lambda x: x
    def auxiliary_endpoints(self): return {'/h': self.h}

=== templates side by side
from pyjob import EndpointConfig
JOB
    def a(self, i): ...
    def auxiliary_endpoints_v2(self): return [
        EndpointConfig('/i/{i}', 'GET', self.a), EndpointConfig('/i/x', 'GET', self.perform)
    ]

=== v2 open handler
from pyjob import EndpointConfig
JOB
    def a(self, **k): ...
    def auxiliary_endpoints_v2(self): return (EndpointConfig('/i/{i}', 'GET', self.a, None),)

=== request on self
JOB
    def a(self): return self.request_context
    def auxiliary_endpoints(self): return {'/a': self.a}

=== a star import below the class
from typing import *
class J:
  def perform(self, x: List[int]): ...
from typing import *

=== a class made global by another
class Outer:
  global J
  class J:
    def perform(self): ...

=== a handler that every object has
JOB
    def auxiliary_endpoints(self): return {'/h': self.__init__}

=== a method bound anew by locals
class A:
  def perform(): ...
  for n in ['perform']: locals()[n] = lambda self: 1

=== abstract without ABC
from abc import abstractmethod
class J:
  @abstractmethod
  def perform(self): ...
"""


@pytest.mark.parametrize("case", cases_of(TABLE), ids=lambda case: case.name)
def test_what_starts_has_no_error(make_job: MakeJob, case: Case) -> None:
    folder = case.make(make_job)
    assert errors_of(folder) == []
    assert failure_of(folder) == ""
