"""The command line of `deploy_functions.sh`."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from shared.errors import WatchkeeperError
from watchkeeper.deploy.steps import VERBS

USAGE = """\
usage: ./deploy_functions.sh VERB --project P --region R [options]

Look first; this only asks:
  plan        what `all` would create, change and leave, what is there that functions.toml does not have, and the cost

Verbs that deploy; each may be run any number of times, creates what is missing and updates what is there:
  setup       APIs, Firestore database, TTL, index exemptions, service accounts, roles, queues, secrets, Gmail's topic
              and delegation, and who may call the functions that are deployed already
  functions   stage and import every function, then deploy them one after the other, and let its caller call each
  schedules   the Cloud Scheduler jobs, and the limits of the queues
  monitoring  the log-based metrics, dashboard and alerts of monitoring/; whom an alert notifies, its labels, and
              that it is switched off stay as they are
  all         setup, functions, schedules, monitoring, smoke; stages and imports every function before that. On a
              terminal it shows its plan first, and asks

Verbs that operate:
  smoke       have Cloud Scheduler call each function, and each queue deliver, and wait until that ends well; the tick
              and the queues have to run a job of the test's own, which is deleted. What Chat calls has to refuse an
              event that nobody signed. What it could not prove is listed at the end; what is paused is left alone
  status      what is deployed, and when each Scheduler job ran last (status 0 or none is well); also what
              functions.toml no longer has
  pause       pause the Scheduler jobs and the queues; the functions stay, and a deployment wakes neither
  resume      let the Scheduler jobs and the queues run again
  serving     print the revision that has the traffic of each function, for `rollback --to`
  rollback    give the traffic of each function back to the revision before the one that has it now, or to that of
              --to; the next deployment takes it again
  destroy     delete functions and Scheduler jobs, and what waits in the queues, after a question; whatever else was
              set up stays, and the queues do, since the name of a deleted one is free only after a week

Options:
  --project P      the Google Cloud project
  --region R       the region of functions and Scheduler jobs
  --only NAME...   these functions, by their names in functions.toml, instead of all. Without it plan, smoke and the
                   verbs that deploy take those that DEPLOYMENT_FUNCTIONS in the settings file names or, where that is
                   not set, skip functions that have none of their required settings; the other verbs take all
  --if-configured  skip those also where --only names them, and with every verb; a build on merge needs that
  --settings FILE  the settings of this environment; .env of this folder, if there is one. The settings of the
                   shell have no influence. DEPLOYMENT_PREFIX in it says which deployment of the project is meant;
                   no verb touches another one (docs/ENVIRONMENTS.md). A secret that stands there is put into Secret
                   Manager by setup; secret:latest or secret:3 in its place says that it is there already
  --to FILE        with rollback: to the revisions in FILE, which `serving` printed before a deployment
  --removed        with destroy: delete the functions that functions.toml no longer has, and their Scheduler jobs
  --share          deploy although another deployment has the same jobs, or the same prefix in another region
  --dry-run        print each command that would be run on the project, and run none of them
  --yes            do not ask
  --help           this text

Exit code: 0, 1 when something failed, 2 when the command line is wrong.
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
