"""`pyjob call`: send a request to a job that is served, or to one on the disk, and show the answer."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.cli import arguments
from pyjob.cli.call.answers.output import Output
from pyjob.cli.call.conversation import Conversation, Wish
from pyjob.cli.call.items import Item, UsageError, items_of
from pyjob.cli.call.request import TOKEN_VARIABLE, Request, request_of, token_of
from pyjob.cli.call.target import Address, JobOnDisk, target_of
from pyjob.client.client import Client
from pyjob.environment.mask import Mask

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DESCRIPTION = """Call an endpoint of a job: one that is served at a URL, or one in a folder, which is loaded
for this call. The result goes to standard output, everything else to standard error."""
EPILOG = """items, after HTTPie:
  name=value        an argument that is text           name=@file    the text of a file
  name:=json        one that is any other JSON         name:=@file   the JSON in a file
  name@file         a file (- is standard input)
  name==value       an argument in the query           Header:value  a header

examples:
  pyjob call localhost:7000 x:=20 y:=5              POST {"x": 20, "y": 5} to /perform
  pyjob call :7000 /explain --example               send the sample of another endpoint
  pyjob call examples/supersmart --example          load the job of a folder, and call it
  pyjob call :7000 picture@cat.png -o art.png       a file there, a file back
  pyjob call :7000 --json @payload.json | jq .      a body from a file
  pyjob call https://example.com/pub/job/house/latest /perform area:=80 --token-file token

exit status:
  0   the endpoint answered 2xx, and all of it was written
  1   nothing was answered, it broke off or could not be written; the job of a folder does not load
  2   wrong usage
  3   a redirect, which is not followed
  4   4xx: the request is wrong, or is not let in
  5   5xx: the job failed, or the server is not ready
"""


def add_to(commands: Commands) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "call",
        help="call a job",
        usage="pyjob call [OPTION ...] URL|FOLDER [/ENDPOINT] [ITEM ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target",
        metavar="URL|FOLDER",
        help="where the job is served (http://..., HOST:PORT, :PORT for this machine), or its folder, "
        "manifest or Python file",
    )
    parser.add_argument(
        "items",
        nargs="*",
        default=[],
        metavar="ITEM",
        help="the endpoint, which begins with a slash (default: /perform), and what is sent, see below",
    )
    _add_request(parser)
    _add_answer(parser)
    _add_folder(parser)
    parser.set_defaults(run=_run, refuse=parser.error)


def _add_request(parser: argparse.ArgumentParser) -> None:
    request = parser.add_argument_group("the request")
    request.add_argument(
        "-X",
        "--method",
        type=str.upper,
        help="the method (default: POST, and GET where the endpoint knows nothing else)",
    )
    request.add_argument(
        "--example", action="store_true", help="send the sample that the job publishes, changed by the items"
    )
    request.add_argument(
        "--which", metavar="NAME", help="which sample, by name or number, where there are several"
    )
    request.add_argument(
        "--json",
        metavar="BODY",
        help="the whole body: JSON, or @FILE that holds it, or - for standard input",
    )
    request.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"send the token in FILE (default: that of {TOKEN_VARIABLE} in the environment, if any)",
    )
    request.add_argument(
        "--timeout",
        type=arguments.some_seconds,
        metavar="SECONDS",
        help="give up where nothing has come for so long (default: never)",
    )


def _add_answer(parser: argparse.ArgumentParser) -> None:
    answer = parser.add_argument_group("the answer")
    answer.add_argument(
        "-o", "--output", type=_new_file, metavar="FILE", help="write the result to FILE, as it came"
    )
    answer.add_argument(
        "-v", "--verbose", action="store_true", help="show headers, and the body that is sent, tokens masked"
    )


def _add_folder(parser: argparse.ArgumentParser) -> None:
    folder = parser.add_argument_group("the job of a folder, as `pyjob run` has it")
    folder.add_argument("--manifest", type=Path, metavar="FILE", help="use this manifest")
    folder.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="override a value of the manifest"
    )
    folder.add_argument(
        "--env",
        action="append",
        default=[],
        type=arguments.variable,
        metavar="NAME=VALUE",
        help="set a variable for the job",
    )
    folder.add_argument(
        "--env-file",
        type=Path,
        metavar="FILE",
        help="read this in place of the manifest's secret_runtime_env_file",
    )


def _new_file(text: str) -> Path:
    """A file that can be written, as far as that can be told before the call."""
    file = Path(text)
    if text == "-" or file.is_dir():
        raise argparse.ArgumentTypeError(f"expected the name of a file, found {text!r}")
    if not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(file.parent)!r}")
    return file.absolute()  # the working directory will be the job's


def _run(options: argparse.Namespace) -> int:
    if sys.stderr is None:
        # Closed by who started us: what is told goes nowhere, and no file of ours gets its number.
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  as long as the process lives
    try:
        endpoint = options.items.pop(0) if options.items and options.items[0].startswith("/") else None
        target = target_of(options.target, endpoint)
        _check(options, target)
        items = items_of(options.items)
        request = request_of(target.path, target.query, items, options.json)
        if options.method in ("GET", "HEAD") and not request.is_empty:
            request.close()
            raise UsageError(f"{options.method} has no body: write name==value, which goes into the query")
    except UsageError as error:
        options.refuse(str(error))
    try:
        return _call(options, target, request, items)
    finally:
        request.close()


def _check(options: argparse.Namespace, target: Address | JobOnDisk) -> None:
    """What cannot go together. Raises `UsageError`."""
    if options.example and options.json is not None:
        raise UsageError("--json is the whole body: --example cannot go beside it")
    if options.which is not None and not options.example:
        raise UsageError("--which says which sample --example sends")
    if isinstance(target, JobOnDisk):
        return
    for name in ("manifest", "set", "env", "env_file"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} is for the job of a folder, not for one at a URL")


def _call(
    options: argparse.Namespace, target: Address | JobOnDisk, request: Request, items: list[Item]
) -> int:
    sample = (options.which or "") if options.example else None

    def wish(output: Output, token: str | None = None) -> Wish:
        return Wish(
            output,
            method=options.method,
            sample=sample,
            is_verbose=options.verbose,
            mask=Mask([token] if token else []),
        )

    if isinstance(target, Address):
        token = token_of(options.token_file, os.environ.get(TOKEN_VARIABLE))
        output = Output(sys.stdout, options.output)
        with Client(target.base, token, timeout=options.timeout) as client:
            return Conversation(client, wish(output, token)).hold(request, items)
    # A call over the network has no use for all that serves a job.
    from pyjob.cli.call.folder import in_a_thread, kept_stdout, own_job
    from pyjob.own import JobSource

    source = JobSource(target.file, options.manifest, options.set, dict(options.env), options.env_file)
    with ExitStack() as opened:
        output = Output(opened.enter_context(kept_stdout()), options.output)
        application = opened.enter_context(own_job(source, is_verbose=options.verbose))
        client = opened.enter_context(Client.in_process(application, name=str(options.target)))
        return in_a_thread(
            lambda hear: Conversation(client, wish(output), hear).hold(request, items), options.timeout
        )
