"""`pyjob access`: who may call jobs, in the store that `pyjob run --access FILE` reads (SPEC 8.4)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pyjob.cli.access.approvals import add_approvals
from pyjob.cli.access.file import VARIABLE, add_init, add_log
from pyjob.cli.access.tokens import add_tokens

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = f"""examples:
  pyjob access init /etc/pyjob/access.db             make the store
  export {VARIABLE}=/etc/pyjob/access.db           name it for the other commands
  pyjob access token add alice                       issue a token
  pyjob access requests house-price                  what waits for approval
  pyjob access approve house-price 1.2.0 /perform    let everybody call it
  pyjob access log                                   who did what, and when

exit status: 0 fine; 1 an error; 2 wrong usage
"""


def add_to(commands: Commands) -> None:
    """Declare the command and its own commands."""
    parser = commands.add_parser(
        "access",
        help="issue tokens, approve public endpoints",
        description="Manage the store of tokens and approvals. Servers see a change within a second.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)
    add_init(actions)
    add_tokens(actions)
    add_approvals(actions)
    add_log(actions)
