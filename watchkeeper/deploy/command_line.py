"""The command line of `deploy_functions.sh`."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from shared.errors import WatchkeeperError
from watchkeeper.deploy.steps import VERBS

USAGE = """\
usage: ./deploy_functions.sh VERB --project P --region R [options]

Look first; this changes nothing:
  plan        show what `all` would create, change and leave alone, what exists but is not in functions.toml, and the
              cost

Verbs that deploy. Each creates what is missing and updates the rest; you can run it again at any time:
  setup       APIs, Firestore database, TTL, index exemptions, service accounts, roles, queues, secrets, Gmail's topic
              and delegation, and who may call the functions that are already deployed
  functions   stage and import every function, then deploy them one by one, and allow its caller to call each
  schedules   the Cloud Scheduler jobs, and the limits of the queues
  monitoring  the log-based metrics, dashboard and alerts of monitoring/; an alert keeps its recipients, its labels, and
              whether it is switched off
  all         setup, functions, schedules, monitoring, smoke; first it stages and imports every function. On a terminal
              it shows the plan and asks before it starts

Verbs that operate:
  smoke       call each function as Cloud Scheduler or a queue calls it, and wait until the call succeeds. The tick and
              the queues must run a test job, which is then deleted; chat_webhook must refuse an unsigned event. Lists
              what it could not prove; leaves paused Scheduler jobs and queues alone
  status      show what is deployed and when each Scheduler job last ran (status 0 or none means success), and what is
              deployed but no longer in functions.toml
  pause       pause the Scheduler jobs and the queues; functions stay, and deploying does not resume anything
  resume      resume the Scheduler jobs and the queues
  serving     print which revision of each function receives its traffic, for `rollback --to`
  rollback    move the traffic of each function to the revision before the current one, or to the one in the file of
              --to; the next deployment moves it forward again
  destroy     delete functions and Scheduler jobs, and the tasks in the queues, after a question. Everything else stays;
              so do the queues, because the name of a deleted queue is blocked for a week

Options:
  --project P      the Google Cloud project
  --region R       the region of functions and Scheduler jobs
  --only NAME...   only these functions, by their names in functions.toml. Without it, plan, smoke and the verbs that
                   deploy take the functions that DEPLOYMENT_FUNCTIONS in the settings file names or, if that is not
                   set, skip those without any of their required settings; the other verbs take all
  --if-configured  skip functions that are not configured with every verb, and even if --only names them; the build on
                   merge uses it
  --settings FILE  the settings of this environment; by default .env in this folder, if it exists. The settings of the
                   shell have no effect. DEPLOYMENT_PREFIX in the file selects the deployment in the project; no verb
                   touches another one (docs/ENVIRONMENTS.md). setup copies a secret in the file to Secret Manager;
                   secret:latest or secret:3 in its place means that it is already there
  --to FILE        with rollback: the revisions that `serving` printed before a deployment
  --removed        with destroy: delete the functions that are no longer in functions.toml, and their Scheduler jobs
  --share          deploy even if another deployment has the same jobs, or the same prefix in another region
  --dry-run        print each command that would run on the project, and run none
  --yes            do not ask
  --help           this text

Exit code: 0; 1 if something failed; 2 if the command line is wrong.
"""


class Misused(WatchkeeperError):
    """The command line cannot be parsed; the message says why."""


class HelpWanted(Exception):
    """Nothing but the usage is asked for."""


@dataclass(kw_only=True)
class CommandLine:
    """What is asked for. `settings` and `to` are paths as they were given, or empty."""

    verb: str
    project: str
    region: str
    settings: str
    to: str
    only: Sequence[str]
    is_dry_run: bool
    is_confirmed: bool
    is_if_configured: bool
    is_removed: bool
    is_shared: bool


OPTIONS = ("project", "region", "settings", "to")
# The switches, and the field of each.
SWITCHES = {
    "--dry-run": "is_dry_run",
    "--yes": "is_confirmed",
    "--if-configured": "is_if_configured",
    "--removed": "is_removed",
    "--share": "is_shared",
}


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misused(message)

    def print_help(self, file: object = None) -> NoReturn:
        raise HelpWanted


def read_command_line(words: Sequence[str]) -> CommandLine:
    """Parse the words behind the command. Raises Misused, and HelpWanted."""
    parser = _Parser(allow_abbrev=False)
    parser.add_argument("verbs", nargs="*")
    for option in OPTIONS:
        parser.add_argument(f"--{option}")
    parser.add_argument("--only", nargs="+", action="extend", default=[])
    for switch, field in SWITCHES.items():
        parser.add_argument(switch, action="store_true", dest=field)
    parsed = vars(parser.parse_intermixed_args(words))
    for option in OPTIONS:
        if parsed[option] == "":  # as in --settings "$FILE" where FILE is not set: .env is not what is meant
            raise Misused(f"--{option} needs a value")
        parsed[option] = parsed[option] or ""
    verbs, only = parsed.pop("verbs"), tuple(parsed.pop("only"))
    if unknown := [verb for verb in verbs if verb not in VERBS]:
        raise Misused(f"unknown verb {unknown[0]}; choose one of {', '.join(VERBS)}")
    if len(verbs) != 1:
        raise Misused(f"two verbs are given, {verbs[0]} and {verbs[1]}" if verbs else "a verb is missing")
    line = CommandLine(verb=verbs[0], only=only, **parsed)
    _refuse_incomplete(line)
    return line


def _refuse_incomplete(line: CommandLine) -> None:
    if not (line.project and line.region):
        raise Misused("--project and --region are required")
    if line.is_removed and (line.verb != "destroy" or line.only):
        raise Misused("--removed goes with destroy, and without --only")
    if line.to and line.verb != "rollback":
        raise Misused("--to goes with rollback")
