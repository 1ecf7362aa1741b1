"""The command line of `deploy_functions.sh`."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """The command line cannot be understood; the message says what is wrong with it."""


class HelpWanted(Exception):
    """Nothing but the usage is asked for."""


@dataclass
class CommandLine:
    """What is asked for. `settings` and `to` are paths as they were given, or empty."""

    verb: str = ""
    project: str = ""
    region: str = ""
    settings: str = ""
    to: str = ""
    only: tuple[str, ...] = ()
    is_dry_run: bool = False
    is_confirmed: bool = False
    is_if_configured: bool = False
    is_removed: bool = False
    is_shared: bool = False


def read_command_line(words: Sequence[str]) -> CommandLine:
    """Read the words behind the command. Raises Misused, and HelpWanted."""
    line, left = CommandLine(), list(words)
    while left:
        match left.pop(0):
            case "--help" | "-h":
                raise HelpWanted
            case ("--project" | "--region" | "--settings" | "--to") as option:
                setattr(line, option[2:], _value(option, left))
            case "--only":
                line.only += _names(left)
                if not line.only:
                    raise Misused("--only needs the names of functions")
            case "--dry-run":
                line.is_dry_run = True
            case "--if-configured":
                line.is_if_configured = True
            case "--removed":
                line.is_removed = True
            case "--share":
                line.is_shared = True
            case "--yes":
                line.is_confirmed = True
            case word if word.startswith("-"):
                raise Misused(f"there is no option {word}")
            case word if line.verb:
                raise Misused(f"there are two verbs, {line.verb} and {word}")
            case word:
                line.verb = word
    _refuse_incomplete(line)
    return line


def _value(option: str, left: list[str]) -> str:
    if not left or not left[0] or left[0].startswith("--"):
        raise Misused(f"{option} needs a value")
    return left.pop(0)


def _names(left: list[str]) -> tuple[str, ...]:
    names: list[str] = []
    while left and not left[0].startswith("--"):
        names.append(left.pop(0))
    return tuple(names)


def _refuse_incomplete(line: CommandLine) -> None:
    if line.verb not in VERBS:
        raise Misused(f"there is no verb {line.verb}" if line.verb else "a verb is missing")
    if not (line.project and line.region):
        raise Misused("--project and --region are needed")
    if line.is_removed and (line.verb != "destroy" or line.only):
        raise Misused("--removed goes with destroy, and without --only")
    if line.to and line.verb != "rollback":
        raise Misused("--to goes with rollback")
