"""Google Cloud on the loopback interface, as far as the real gcloud needs it to deploy: it records and remembers.

A resource is a JSON object under its name, such as `projects/demo/locations/eu/jobs/tick`; every call that changes one
is in `changes`. What is uploaded is kept. `refuse` makes calls fail that the real one would refuse, too.

    with GoogleCloud() as cloud:
        subprocess.run(["gcloud", "scheduler", ...], env=cloud.env(tmp_path))
        assert cloud.resources["projects/demo/..."]["schedule"] == "* * * * *"
"""

import base64
import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.support import warm_gcloud
from watchkeeper.serving import serving

Resource = dict[str, Any]

PROJECT = "demo-proj"
NUMBER = "123456789012"
APIS = (
    *("CLOUDFUNCTIONS", "CLOUDSCHEDULER", "SERVICEUSAGE", "CLOUDRESOURCEMANAGER", "CLOUDBUILD", "IAM", "SECRETMANAGER"),
    *("FIRESTORE", "PUBSUB", "STORAGE", "ARTIFACTREGISTRY", "LOGGING", "MONITORING", "CLOUDTASKS"),
)
ASKING = (":getIamPolicy", ":generateUploadUrl", ":access", "entries:list")  # changes nothing, though it is a POST
# gcloud puts the region before the host of Cloud Run, so that is no address but a name, and this server its proxy.
RUN = "run.fake"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call as it came in: `name` is the resource or the method of one, such as `projects/demo:setIamPolicy`."""

    method: str
    name: str
    query: Mapping[str, str]
    body: Any = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


@dataclass(frozen=True)
class Refused(Exception):
    """An answer that is an error."""

    status: int
    reason: str
    message: str


class GoogleCloud:
    """Serves while it is entered.

    `refusals` maps the beginning of `str(call)` to the error that such calls get. `failing_builds` are functions whose
    deployment is accepted, and then fails.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.unknown: list[Call] = []
        self.resources: dict[str, Resource] = {
            f"projects/{PROJECT}": {"projectId": PROJECT, "projectNumber": NUMBER, "lifecycleState": "ACTIVE"}
        }
        self.policies: dict[str, Resource] = {}
        self.uploads: dict[str, bytes] = {}
        self.refusals: dict[str, Refused] = {}
        self.failing_builds: set[str] = set()
        self.attempt = ""  # the status with which every run of a Scheduler job ends; without one it is well
        self.attempts: list[Resource] = []  # what Cloud Scheduler logs of them
        self.refused_tasks = ""  # what is said of every task; one that is answered well is gone at once
        self.unknown_metrics = 0  # so often an alert on a log-based metric is refused, as while the metric is new
        self.log: list[Resource] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._serving = ExitStack()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._serving.enter_context(serving(self._server))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._serving.close()

    def env(self, folder: Path) -> dict[str, str]:
        """Return the environment in which gcloud talks to this server and to nothing else."""
        overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"http://{self.address}/" for api in APIS}
        return {
            "PATH": os.pathsep.join([*([str(warm)] if (warm := warm_gcloud.folder()) else []), os.environ["PATH"]]),
            "HOME": str(folder),
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "NO_GCE_CHECK": "true",  # nobody is signed in, and Google's libraries need not look for long
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            **overrides,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": f"http://{RUN}/",
            # Whatever is not overridden ends here, too, and is found in `unknown`.
            "HTTP_PROXY": f"http://{self.address}",
            "HTTPS_PROXY": f"http://{self.address}",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def changes(self) -> list[str]:
        """Return the calls that changed something, in order."""
        return [str(call) for call in self.calls if _is_change(call)]

    def members(self, resource: str, role: str = "roles/run.invoker") -> set[str]:
        """Return who has a role on a resource."""
        bindings = self.policies.get(resource, {}).get("bindings", [])
        return {member for binding in bindings if binding["role"] == role for member in binding["members"]}

    def answer(self, call: Call) -> Resource:
        """Do what is asked. Raises Refused."""
        with self._lock:
            self.calls.append(call)
            for beginning, refused in self.refusals.items():
                if str(call).startswith(beginning):
                    raise refused
            resource, _, verb = call.name.replace("projects/-/", f"projects/{PROJECT}/").partition(":")
            if verb:
                return self._method(call, resource, verb)
            if call.method == "GET":
                return self._get(call)
            return self._change(call)

    def _get(self, call: Call) -> Resource:
        if call.name.endswith("/runtimes"):
            return {"runtimes": [{"name": "python313", "environment": "GEN_2", "stage": "GA"}]}
        if "/operations/" in call.name:
            return self.resources[call.name]
        if "/services/" in call.name and call.name.endswith(".googleapis.com"):
            return {"name": call.name, "state": "ENABLED"}
        if call.name.endswith("/revisions"):
            service = call.query["labelSelector"].rpartition("=")[2].strip()
            return {
                "metadata": {},
                "items": [each for each in self._revisions() if each["metadata"]["name"].startswith(service)],
            }
        if call.name == f"projects/{PROJECT}/locations/-/functions":
            functions = self.within(f"projects/{PROJECT}/locations")
            return {"functions": [each for each in functions if "/functions/" in each["name"]]}
        if call.name.endswith("/jobs"):
            return {"jobs": self.within(call.name)}
        if call.name == f"projects/{PROJECT}/serviceAccounts":
            return {"accounts": self.within(call.name)}
        if call.name in (f"projects/{PROJECT}/metrics", f"projects/{PROJECT}/alertPolicies"):
            return {call.name.rpartition("/")[2]: self.within(call.name)}
        if "/collectionGroups/" in call.name:
            if call.name.endswith("/fields"):
                return {"fields": self.within(call.name)}
            return self.resources.get(call.name, {"name": call.name, "indexConfig": {"usesAncestorConfig": True}})
        name = call.name.replace("projects/-/", f"projects/{PROJECT}/")
        if name not in self.resources:
            raise Refused(404, "NOT_FOUND", f"{name} was not found")
        return self.resources[name]

    def _method(self, call: Call, resource: str, verb: str) -> Resource:
        if verb == "getIamPolicy":
            return self.policies.get(resource, {"etag": "AA==", "version": 1})
        if verb == "setIamPolicy":
            self.policies[resource] = {**call.body["policy"], "etag": "AA=="}
            return self.policies[resource]
        if verb == "batchEnable":
            enabled = [{"name": f"projects/{NUMBER}/services/{api}"} for api in call.body["serviceIds"]]
            self.resources[resource] = {"services": enabled}
            return self._done("services", {})
        if verb == "generateServiceIdentity":
            api = resource.rpartition("/")[2].partition(".")[0]
            email = f"service-{NUMBER}@gcp-sa-{api}.iam.gserviceaccount.com"
            return self._done("services", {"email": email, "uniqueId": "1"})
        if verb == "generateUploadUrl":
            name = f"source-{len(self.calls)}.zip"
            upload = f"http://{self.address}/uploads/{name}"
            return {"uploadUrl": upload, "storageSource": {"bucket": "uploads", "object": name}}
        if verb == "run" and resource in self.resources:
            count = int(self.resources[resource].get("lastAttemptTime", "0000-00-00T00:00:00Z")[17:19]) + 1
            self.resources[resource]["lastAttemptTime"] = f"2026-11-21T09:00:{count:02}Z"
            self._log_attempt(resource.rpartition("/")[2], self.resources[resource]["lastAttemptTime"])
            return self.resources[resource]
        if (resource, verb) == ("entries", "list"):
            job = re.search(r'resource\.labels\.job_id="([^"]+)"', call.body["filter"])
            attempts = [each for each in self.attempts if job and each["resource"]["labels"]["job_id"] == job[1]]
            return {"entries": attempts if job else self.log}
        if verb in ("pause", "resume") and resource in self.resources:
            on = "RUNNING" if "/queues/" in resource else "ENABLED"
            self.resources[resource]["state"] = {"pause": "PAUSED", "resume": on}[verb]
            return self.resources[resource]
        if verb == "purge" and resource in self.resources:
            return self.resources[resource]
        if verb == "addVersion":
            return self._add_version(resource, call.body)
        if verb == "access":
            version = self.resources.get(resource)
            if version is None:
                raise Refused(404, "NOT_FOUND", f"{resource} was not found")
            return version
        self.unknown.append(call)
        raise Refused(400, "INVALID_ARGUMENT", f"no answer for {call}")

    def _log_attempt(self, job: str, at: str) -> None:
        """Log that an attempt began and, at once, that it ended."""
        kind = "type.googleapis.com/google.cloud.scheduler.logging.Attempt"
        status = {"status": self.attempt} if self.attempt else {}
        for payload in ({"@type": f"{kind}Started"}, {"@type": f"{kind}Finished", **status}):
            entry = {"insertId": str(len(self.attempts)), "timestamp": at, "jsonPayload": payload}
            self.attempts.append({**entry, "resource": {"type": "cloud_scheduler_job", "labels": {"job_id": job}}})

    def _add_version(self, secret: str, body: Resource) -> Resource:
        payload = {"data": body["payload"]["data"]}
        self.resources[f"{secret}/versions/latest"] = {"name": f"{secret}/versions/1", "payload": payload}
        return {"name": f"{secret}/versions/1", "clientSpecifiedPayloadChecksum": True, "state": "ENABLED"}

    def archive(self, function: str) -> bytes:
        """Return what was uploaded of a deployed function."""
        return self.uploads[self.resources[function]["buildConfig"]["source"]["storageSource"]["object"]]

    def secret(self, name: str) -> bytes:
        """Return the newest value of a secret."""
        version = self.resources[f"projects/{PROJECT}/secrets/{name}/versions/latest"]
        return base64.b64decode(version["payload"]["data"])

    def _change(self, call: Call) -> Resource:
        makers: dict[str, Callable[[Call], Resource]] = {
            "functions": self._deploy,
            "jobs": lambda call: self._store(call.body["name"], {"state": "ENABLED", **call.body}),
            "queues": lambda call: self._store(call.body["name"], {"state": "RUNNING", **call.body}),
            "tasks": self._task,
            "serviceAccounts": self._account,
            "secrets": lambda call: self._store(f"{call.name}/{call.query['secretId']}", call.body),
            "databases": self._database,
            "metrics": self._metric,
            "dashboards": self._dashboard,
            "alertPolicies": self._alert,
        }
        kind = call.name.rpartition("/")[2]
        if call.method == "POST" and kind in makers:
            return makers[kind](call)
        if call.method == "PATCH" and "/collectionGroups/" in call.name:
            resource = self._merge(call)
            if "ttlConfig" in resource:
                resource["ttlConfig"]["state"] = "ACTIVE"
            return self._done(call.name, resource, "google.firestore.admin.v1.Field")
        if call.method == "PATCH" and "/functions/" in call.name:
            return self._deploy(call)
        if call.method == "PATCH" and "/dashboards/" in call.name:
            return self._dashboard(call)
        if call.method == "PATCH" and "/alertPolicies/" in call.name and "updateMask" not in call.query:
            return self._alert(call)
        if call.method == "PUT" and call.name.startswith("namespaces/"):
            call.body["status"]["traffic"] = call.body["spec"]["traffic"]
        if call.method in ("PATCH", "PUT"):
            return self._merge(call)
        if call.method == "DELETE" and call.name in self.resources:
            del self.resources[call.name]
            return self._done(call.name, {}) if "/functions/" in call.name else {}
        self.unknown.append(call)
        raise Refused(400, "INVALID_ARGUMENT", f"no answer for {call}")

    def _store(self, name: str, resource: Resource) -> Resource:
        if name in self.resources:
            raise Refused(409, "ALREADY_EXISTS", f"{name} exists")
        self.resources[name] = {**resource, "name": name}
        return self.resources[name]

    def _merge(self, call: Call) -> Resource:
        """Take over the fields of the mask, or all, as the real ones do."""
        old = self.resources.setdefault(call.name, {"name": call.name})
        for path in call.query.get("updateMask", ",".join(call.body)).split(","):
            keys = [_camel(key) for key in path.split(".")]
            inner, given = old, call.body
            for key in keys[:-1]:
                inner, given = inner.setdefault(key, {}), given.get(key) or {}
            inner.pop(keys[-1], None)
            if keys[-1] in given:
                inner[keys[-1]] = given[keys[-1]]
        return old

    def _account(self, call: Call) -> Resource:
        email = f"{call.body['accountId']}@{PROJECT}.iam.gserviceaccount.com"
        return self._store(f"{call.name}/{email}", {"email": email, "uniqueId": "1", **call.body["serviceAccount"]})

    def _database(self, call: Call) -> Resource:
        resource = self._store(f"{call.name}/{call.query['databaseId']}", call.body)
        return self._done(call.name, resource, "google.firestore.admin.v1.Database")

    def within(self, collection: str) -> list[Resource]:
        """Return what a collection holds, such as all service accounts of the project."""
        return [value for name, value in self.resources.items() if name.startswith(f"{collection}/")]

    def _task(self, call: Call) -> Resource:
        task: Resource = call.body["task"]
        if not self.refused_tasks:
            return task
        status = {"code": 7, "message": self.refused_tasks}
        times = {"createTime": "2026-11-21T08:59:58Z"}
        attempt = {"responseTime": "2026-11-21T09:00:00Z", "responseStatus": status}
        return self._store(task["name"], {**task, **times, "lastAttempt": attempt})

    def _metric(self, call: Call) -> Resource:
        name = call.body["name"]
        self._store(f"{call.name}/{name}", call.body)["name"] = name
        return self.resources[f"{call.name}/{name}"]

    def _dashboard(self, call: Call) -> Resource:
        """Make one, or replace the very one that the caller has seen."""
        name = call.body["name"]
        if call.body.get("etag") != self.resources.get(name, {}).get("etag"):
            raise Refused(409, "ABORTED", f"{name} is not what it was")
        self.resources[name] = {**call.body, "etag": f"etag-{len(self.calls)}"}
        return self.resources[name]

    def _alert(self, call: Call) -> Resource:
        """Make one under a name that is chosen here, or replace all of one but its name."""
        if self.unknown_metrics and "logging.googleapis.com/user/" in json.dumps(call.body):
            self.unknown_metrics -= 1
            raise Refused(404, "NOT_FOUND", "Cannot find metric(s) that match type. It could take up to 10 minutes.")
        name = call.name if call.method == "PATCH" else f"{call.name}/{len(self.within(call.name)) + 1}"
        self.resources[name] = {"enabled": True, **call.body, "name": name}
        return self.resources[name]

    def _deploy(self, call: Call) -> Resource:
        name = call.name if call.method == "PATCH" else f"{call.name}/{call.query['functionId']}"
        short = name.rpartition("/")[2]
        if short in self.failing_builds:
            return self._failed(name, "Build failed with status: FAILURE. Could not build the function.")
        function = self._merge(call) if call.method == "PATCH" else self._store(name, call.body)
        region = name.split("/")[3]
        revision = self.add_revision(short)
        function.update(
            state="ACTIVE", environment="GEN_2", url=f"https://{region}-{PROJECT}.cloudfunctions.net/{short}"
        )
        function["serviceConfig"].update(
            service=f"projects/{PROJECT}/locations/{region}/services/{short}",
            uri=f"https://{short}.run.app",
            revision=revision,
        )
        return self._done(name, function, "google.cloud.functions.v2.Function")

    def add_revision(self, service: str, *, is_ready: bool = True) -> str:
        """Make a revision of a service, which takes all its traffic if it is ready, as each deployment does."""
        count = sum(each["metadata"]["name"].startswith(service) for each in self._revisions())
        revision = f"{service}-{count + 1:05}-abc"
        traffic = [{"revisionName": revision, "percent": 100, "latestRevision": True}]
        metadata = {"namespace": PROJECT, "creationTimestamp": f"2026-11-22T00:00:{count:02}Z"}
        self.resources[f"namespaces/{PROJECT}/revisions/{revision}"] = {
            **{"apiVersion": "serving.knative.dev/v1", "kind": "Revision", "spec": {}},
            "metadata": {**metadata, "name": revision, "labels": {"serving.knative.dev/service": service}},
            "status": {
                "conditions": [{"type": "Active", "status": "True"}, {"type": "Ready", "status": str(is_ready)}],
            },
        }
        if not is_ready:
            return revision
        self.resources[f"namespaces/{PROJECT}/services/{service}"] = {
            **{"apiVersion": "serving.knative.dev/v1", "kind": "Service"},
            "metadata": {**metadata, "name": service},
            "spec": {"template": {"metadata": {}, "spec": {}}, "traffic": [{"percent": 100, "latestRevision": True}]},
            "status": {
                "traffic": traffic,
                "latestReadyRevisionName": revision,
                "latestCreatedRevisionName": revision,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
        return revision

    def _revisions(self) -> list[Resource]:
        return [value for name, value in self.resources.items() if "/revisions/" in name]

    def _done(self, name: str, response: Resource, kind: str = "google.protobuf.Empty") -> Resource:
        operation = {"done": True, "response": {"@type": f"type.googleapis.com/{kind}", **response}}
        return self._operation(name, operation)

    def _failed(self, name: str, message: str) -> Resource:
        return self._operation(name, {"done": True, "error": {"code": 3, "message": message}})

    def _operation(self, name: str, operation: Resource) -> Resource:
        place = "/".join(name.split("/")[:4]) if name.startswith("projects/") else name
        full = f"{place}/operations/operation-{len(self.calls)}"
        self.resources[full] = {"name": full, "metadata": {}, **operation}
        return self.resources[full]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                folder, _, name = self.path.rpartition("/")
                if folder == "/uploads":
                    cloud.uploads[name] = body
                    self.answer(200, {})
                    return
                try:
                    self.answer(200, cloud.answer(_call(self.command, self.path, body)))
                except Refused as exc:
                    error = {"code": exc.status, "status": exc.reason, "message": exc.message}
                    self.answer(exc.status, {"error": error})

            def answer(self, status: int, content: Resource) -> None:
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

            def do_CONNECT(self) -> None:
                """Refuse a way out of this machine."""
                cloud.unknown.append(Call(method="CONNECT", name=self.path, query={}, body=None))
                self.answer(403, {})

            def log_message(self, format: str, *args: Any) -> None:
                """Write no log."""

        return Handler


def _call(method: str, target: str, body: bytes) -> Call:
    parts = urlsplit(target)
    # The version: v1, v2, v1beta1, or of Cloud Run apis/serving.knative.dev/v1.
    name = parts.path.lstrip("/").removeprefix("apis/serving.knative.dev/").partition("/")[2]
    query = {key: ",".join(values) for key, values in parse_qs(parts.query).items()}
    return Call(method=method, name=name, query=query, body=json.loads(body) if body else {})


def _is_change(call: Call) -> bool:
    return call.method != "GET" and not call.name.endswith(ASKING)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
