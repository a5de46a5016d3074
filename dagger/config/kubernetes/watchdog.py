"""The watchdog of a rollout, a dead man's switch. A Job runs it in the cluster while an unproven revision gets requests.

It watches the Lease that a working deploy renews every few seconds. When nobody has renewed the lease for
UNATTENDED_SECONDS, measured by this process's own clock, the patch in SAFE_PATCH takes all traffic back to the stable
revision. It ends when the rollout is over or another rollout has taken its place.

With the argument "check" it proves that it could act, and ends: the readiness probe of its pod.
"""

import contextlib
import email.utils
import http.client
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
STATE = os.environ["STATE"]
# Consecutive failures, a second apart. The Job then starts the program again, and gives up after its backoffLimit.
MAX_FAILURES = 120


def ask(path, patch=None, dry_run=False):
    """The API server's answer, and its clock in milliseconds."""
    # The kubelet renews the token on disk while the Job runs.
    with open(f"{ACCOUNT}/token", encoding="ascii") as token:
        headers = {"Authorization": f"Bearer {token.read().strip()}", "Content-Type": "application/merge-patch+json"}
    body = None if patch is None else json.dumps(patch).encode()
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    address = f"https://{f'[{host}]' if ':' in host else host}:{os.environ['KUBERNETES_SERVICE_PORT']}{path}"
    address += "?dryRun=All" if dry_run else ""
    request = urllib.request.Request(address, body, headers, method="GET" if patch is None else "PATCH")
    trust = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=trust) as answer:  # nosec B310: always https, to the cluster that it runs in
        date = email.utils.parsedate_to_datetime(answer.headers["Date"])
        return json.load(answer), round(date.timestamp() * 1000)


def find(path):
    """The same; (None, None) where there is no such object."""
    try:
        return ask(path)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None, None
        raise


class Silence:
    """Measures for how many seconds nobody has renewed a lease."""

    def __init__(self):
        self.sign = self.looked = None
        self.lasted = 0

    def observe(self, lease, now):
        spec = lease["spec"] if lease else {}
        sign = (spec.get("holderIdentity"), spec.get("renewTime"))
        if sign != self.sign:
            self.lasted = 0
        elif self.looked is not None:
            self.lasted += now - self.looked
        self.sign, self.looked = sign, now
        return self.lasted

    def interrupt(self):
        """While this process gets no answer, the deploy may get none either: that time does not count."""
        self.looked = None


def limit_of(lease):
    """Seconds of silence that are too long. A holder may renew as late as its lease lasts."""
    duration = (lease or {}).get("spec", {}).get("leaseDurationSeconds") or 15
    return max(float(os.environ["UNATTENDED_SECONDS"]), float(duration))


def safe_patch(route, now):
    """All traffic to the stable revision, and the present state as an aborted one."""
    patch = json.loads(os.environ["SAFE_PATCH"])
    annotations = patch["metadata"]["annotations"]
    safe = json.loads(annotations[STATE])
    state = {**state_of(route), "phase": safe["phase"], "message": safe["message"], "since": now}
    annotations[STATE] = json.dumps(state)
    patch["spec"]["rules"] = safe_rules(route, patch["spec"]["rules"])
    # If anybody has written meanwhile, the API server refuses the patch.
    patch["metadata"]["resourceVersion"] = route["metadata"]["resourceVersion"]
    return patch


def safe_rules(route, safe):
    """The route's own rules with the safe backends, so that an operator's filters and timeouts stay."""
    ours = os.environ.get("BACKENDS", "").split()
    backends = next((rule["backendRefs"] for rule in safe if rule.get("backendRefs")), None)
    rules = route.get("spec", {}).get("rules", [])

    def is_ours(rule):
        return any(ref["name"] in ours for ref in rule.get("backendRefs", []))

    if backends is None or not any(is_ours(rule) for rule in rules):
        return safe
    return [{**rule, "backendRefs": backends} if is_ours(rule) else rule for rule in rules]


def state_of(route):
    annotations = route["metadata"].get("annotations", {}) if route else {}
    return json.loads(annotations.get(STATE, "{}"))


def paths():
    namespace = os.environ["NAMESPACE"]
    return (
        f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{os.environ['ROUTE']}",
        f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{os.environ['LEASE']}",
    )


def check():
    """Does everything that taking traffic back needs, without an effect. Fails with the first thing that does not work."""
    route_path, lease_path = paths()
    route, now = ask(route_path)
    ask(lease_path)
    patch = safe_patch(route, now)
    # The deploy may write at any moment, and that is no reason not to be ready.
    del patch["metadata"]["resourceVersion"]
    ask(route_path, patch, dry_run=True)


def main():
    route_path, lease_path = paths()
    silence = Silence()
    failures = 0
    while True:
        try:
            route, now = find(route_path)
            state = state_of(route)
            if state.get("id") != os.environ["ROLLOUT"] or state["phase"] in os.environ["OVER"].split():
                return
            lease, _ = find(lease_path)
            failures = 0
            lasted = silence.observe(lease, time.monotonic())
            if state["phase"] in os.environ["EXPOSED"].split() and lasted >= limit_of(lease):
                patch = safe_patch(route, now)
                ask(route_path, patch)
                print(json.loads(patch["metadata"]["annotations"][STATE])["message"], flush=True)
                return
        except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
            # A 409 means that somebody else wrote first: nothing is wrong with the connection.
            if getattr(error, "code", None) != 409:
                silence.interrupt()
                failures += 1
            print(f"trying again: {error}", flush=True)
            if failures >= MAX_FAILURES:
                raise SystemExit(f"it cannot act: {failures} tries failed, the last one with: {error}") from error
        time.sleep(1)


if sys.argv[1:] == ["check"]:
    try:
        check()
    except Exception as error:  # pylint: disable=broad-except  # whatever it is, the pod is not ready
        # Nobody can read a probe's output, but the log of the container.
        with contextlib.suppress(OSError), open("/proc/1/fd/1", "w", encoding="utf-8") as log:
            print(f"it could not take traffic back: {error}", file=log)
        raise SystemExit(f"it could not take traffic back: {error}") from error
else:
    main()
