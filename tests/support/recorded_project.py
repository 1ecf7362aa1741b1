"""A project as commands of gcloud leave it, without a gcloud: what was made, changed and deleted, and answers about it.

A resource is what gcloud shows of it, field by field. So tests can ask what a verb has touched:

    before = project.snapshot()
    project.run(settings, "pause")
    assert project.snapshot() == before
"""

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorder import MISSING, Recorder, refused, shown
from watchkeeper.deploy.gcloud import Ended

VERBS = {
    *("access", "add", "add-iam-policy-binding", "create", "delete", "deploy", "describe", "enable", "get-iam-policy"),
    *("list", "pause", "purge", "read", "remove-iam-policy-binding", "resume", "run", "update", "update-traffic"),
    *("create-http-task", "print-identity-token"),
}
EXISTS = refused("ALREADY_EXISTS: Requested entity already exists")
# Flags, and the field in which gcloud shows them.
FIELDS = {"uri": "httpTarget.uri", "schedule": "schedule", "time-zone": "timeZone", "description": "description"}


class Key(NamedTuple):
    """A resource: of which kind, its name, its place, and of a policy the member that it is about."""

    kind: str
    name: str
    place: str = ""
    member: str = ""


@dataclass
class Words:
    """A command, taken apart."""

    kind: str
    verb: str
    names: Sequence[str]
    name: str
    flags: dict[str, str]

    @classmethod
    def of(cls, words: Sequence[str]) -> "Words":
        """Take a command apart: the kind stands before the verb, the name comes last."""
        plain = [word for word in words if not word.startswith("--")]
        flags = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
        at = next((at for at, word in enumerate(plain) if at and word in VERBS), len(plain) - 1)
        name = plain[-1] if len(plain) > at + 1 else ""
        for option in ("config-from-file", "policy-from-file"):
            if option in flags:
                content = json.loads(Path(flags[option]).read_text())
                name = name or content.get("name", content["displayName"]).rpartition("/")[2]
        return cls(" ".join(plain[:at]), plain[at], plain[at + 1 :], name, flags)

    @property
    def key(self) -> Key:
        """Return the resource that it is about."""
        if self.kind == "firestore databases":  # their place is no part of their name
            return Key(self.kind, self.flags["database"])
        place = self.flags.get("region") or self.flags.get("location") or self.flags.get("collection-group", "")
        is_policy = self.verb.endswith("-iam-policy-binding")
        # An expiry is a part of a field.
        kind = self.kind.replace("firestore fields ttls", "firestore indexes fields")
        return Key(kind, self.name.partition("@")[0], place, self.flags["member"] if is_policy else "")

    @property
    def told(self) -> dict[str, Any]:
        """Return the flags, with the content of a file instead of its place, but for the state that it replaces."""
        told: dict[str, Any] = {name: value for name, value in self.flags.items() if name != "source"}
        for name in told.keys() & {"config-from-file", "policy-from-file", "env-vars-file"}:
            told[name] = json.loads(Path(told[name]).read_text())
            told[name].pop("etag", None)
        return told


@dataclass
class RecordedProject(Recorder):
    """Answers from what was made; `answers` go first."""

    resources: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def snapshot(self) -> dict[Key, dict[str, Any]]:
        """Return all that is there."""
        return deepcopy(self.resources)

    def __call__(self, command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        ended = super().__call__(command, stdin=stdin, is_captured=is_captured)
        words = command[1:]
        if (ended.code and ended is not MISSING) or any(" ".join(words).startswith(each) for each in self.answers):
            return ended
        return self._do(Words.of(words), stdin)

    def _do(self, words: Words, stdin: bytes | None) -> Ended:
        match words.verb:
            case "create" if words.kind == "monitoring policies":
                self._make(words, self._title(words))
            case "create" if words.key in self.resources and words.kind != "beta services identity":
                return EXISTS
            case "update" if words.key not in self.resources and "fields" not in words.kind:
                return MISSING
            case "create":
                self._make(words, words.key)
            case "update" if "fields" in words.kind:
                shows = {"indexConfig.usesAncestorConfig": ""} if "disable-indexes" in words.flags else {}
                expires = {"ttlConfig.state": "CREATING"} if "enable-ttl" in words.flags else {}
                self.resources.setdefault(words.key, {}).update({**shows, **expires})
            case "update":
                self._update(words)
            case "deploy":
                self._update(words) if words.key in self.resources else self._make(words, words.key)
                self._revise(words.key)
            case "add":
                self.resources[Key("secrets", words.name)].setdefault("versions", []).append(stdin)
            case "access":
                versions = self.resources.get(Key("secrets", words.flags["secret"]), {}).get("versions")
                return Ended(0, versions[-1]) if versions else MISSING
            case "add-iam-policy-binding":
                self.resources.setdefault(words.key, {})[words.flags["role"]] = True
            case "remove-iam-policy-binding":
                del self.resources[words.key][words.flags["role"]]
            case "enable":
                self.resources |= {Key(words.kind, name): {} for name in words.names}
            case "pause" | "resume":
                on = "RUNNING" if "queues" in words.kind else "ENABLED"
                self.resources[words.key]["state"] = "PAUSED" if words.verb == "pause" else on
            case "purge":
                self.resources[words.key]["purged"] = True
            case "update-traffic":
                self.resources[words.key]["serves"] = words.flags["to-revisions"].partition("=")[0]
            case "delete":
                del self.resources[words.key]
                self.resources.pop(words.key._replace(kind="run services"), None)
            case "get-iam-policy" | "list" | "describe":
                return self._answer_to(words)
            case "run":
                self.resources[words.key]["lastAttemptTime"] = f"2026-11-29T09:00:00.{len(self.commands):06}Z"
            case "read":
                return shown(json.dumps(self._attempts(words.name)))
            case _:
                assert words.verb in ("create-http-task", "print-identity-token", "version"), words
        return shown("")

    def _attempts(self, lines: str) -> list[dict[str, Any]]:
        """Return what Cloud Scheduler logs of the last attempt of a job: it ended well, at once."""
        job, place = re.findall(r'labels\.(?:job_id|location)="([^"]+)"', lines)
        at = self.resources[Key("scheduler jobs", job, place)]["lastAttemptTime"]
        return [{"timestamp": at, "jsonPayload": {"@type": f"Attempt{kind}"}} for kind in ("Started", "Finished")]

    def _title(self, words: Words) -> Key:
        """Return the key of a new alert: there may be several of one title."""
        title = words.told["policy-from-file"]["displayName"]
        count = sum(key.kind == words.kind and key.name.partition("#")[0] == title for key in self.resources)
        return Key(words.kind, title + "#" * count)

    def _make(self, words: Words, key: Key) -> None:
        state = "RUNNING" if "queues" in words.kind else "ACTIVE" if words.verb == "deploy" else "ENABLED"
        self.resources[key] = {"state": state, "name": key.name, "etag": "etag", "flags": words.told}
        self._show(words, key)

    def _update(self, words: Words) -> None:
        """Change what was told before; that of an update alone, such as to clear something, leaves no trace."""
        flags = self.resources[words.key]["flags"]
        flags.update({name: value for name, value in words.told.items() if name in flags})
        self._show(words, words.key)

    def _show(self, words: Words, key: Key) -> None:
        self.resources[key].update({FIELDS[name]: value for name, value in words.flags.items() if name in FIELDS})

    def _revise(self, key: Key) -> None:
        service = key._replace(kind="run services")
        before = self.resources.get(service, {}).get("revisions", [])
        revisions = [*before, f"{key.name}-{len(before) + 1}"]
        self.resources[service] = {"metadata.name": key.name, "revisions": revisions, "serves": revisions[-1]}

    def _answer_to(self, words: Words) -> Ended:
        there = {key: each for key, each in self.resources.items() if key.kind == words.kind}
        if words.verb == "get-iam-policy":
            return shown("\n".join(self._policy(words)))
        if words.verb == "describe":
            return self._described(words)
        if words.kind == "run revisions":
            revisions = self.resources[Key("run services", words.flags["service"], words.flags["region"])]["revisions"]
            return shown("\n".join(f"{name}\tTrue" for name in reversed(revisions)))
        if words.flags["format"].startswith("json"):
            listed = [_listed(key, each) for key, each in there.items() if not key.member]
            return shown(json.dumps(listed))
        if words.kind == "iam service-accounts":
            rows = [
                (f"{key.name}@{PROJECT}.iam.gserviceaccount.com", each["flags"]["display-name"])
                for key, each in there.items()
                if not key.member
            ]
            return shown("\n".join("\t".join(row[: words.flags["format"].count(",") + 1]) for row in rows))
        if words.kind == "monitoring policies":
            return shown("\n".join(f"{key.name}|{key.name.partition('#')[0]}|True||" for key in there))
        return shown("\n".join(key.name for key in there))

    def _policy(self, words: Words) -> list[str]:
        """Return role and member, or of a service of Cloud Run, where only the callers are asked for, the member."""
        about = {key: roles for key, roles in self.resources.items() if key._replace(member="") == words.key}
        rows = [(role, key.member) for key, roles in about.items() if key.member for role in roles]
        return [member if words.kind == "run services" else f"{role}\t{member}" for role, member in rows]

    def _described(self, words: Words) -> Ended:
        if words.kind == "projects":
            return shown(NUMBER)
        found = self.resources.get(words.key)
        if found is None:
            return MISSING
        if "status.traffic" in words.flags.get("flatten", ""):
            return shown(f"100\t{found['serves']}")
        asked = re.fullmatch(r'value(?:\[separator="(.*)"\])?\((.*)\)', words.flags["format"])
        assert asked, words
        return shown((asked[1] or "\t").join(str(found.get(name, "")) for name in asked[2].split(",")))


def _listed(key: Key, found: dict[str, Any]) -> dict[str, Any]:
    """Return a function or a Scheduler job as gcloud lists it in JSON."""
    flags = found["flags"]
    place = f"projects/{PROJECT}/locations/{key.place}"
    if key.kind == "functions":
        return {
            "name": f"{place}/functions/{key.name}",
            "state": found["state"],
            "buildConfig": {"serviceAccount": flags["build-service-account"]},
            "serviceConfig": {"environmentVariables": flags["env-vars-file"]},
        }
    target = {"httpTarget": {"uri": found["httpTarget.uri"]}, "description": found["description"]}
    return {"name": f"{place}/jobs/{key.name}", "state": found["state"], **target}
