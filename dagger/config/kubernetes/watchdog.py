"""The dead-man's switch of a rollout. A Job runs this in the cluster for as long as an unproven revision gets requests.

It watches the Lease that a working deploy renews every few seconds. When the lease has not been renewed for
UNATTENDED_SECONDS, by this process's own count, the patch in SAFE_PATCH takes all traffic back to the stable revision.
It ends by itself when the rollout is over, or another one has taken its place.
"""

import email.utils
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
STATE = os.environ["STATE"]


def ask(path, patch=None):
    """What the API server answers, and when by its own clock, in milliseconds."""
    # The token is renewed on disk while the Job runs.
    with open(f"{ACCOUNT}/token", encoding="ascii") as token:
        headers = {"Authorization": f"Bearer {token.read().strip()}", "Content-Type": "application/merge-patch+json"}
    body = None if patch is None else json.dumps(patch).encode()
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    address = f"https://{f'[{host}]' if ':' in host else host}:{os.environ['KUBERNETES_SERVICE_PORT']}{path}"
    request = urllib.request.Request(address, body, headers, method="GET" if patch is None else "PATCH")
    trust = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=trust) as answer:  # nosec B310: always https, to the cluster that it runs in
        date = email.utils.parsedate_to_datetime(answer.headers["Date"])
        return json.load(answer), round(date.timestamp() * 1000)


def found(path):
    """The same, and nothing where there is no such object."""
    try:
        return ask(path)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None, None
        raise


class Silence:
    """How long a lease has shown no sign of life, in seconds."""

    def __init__(self):
        self.sign = self.looked = None
        self.lasted = 0

    def look(self, lease, now):
        spec = lease["spec"] if lease else {}
        sign = (spec.get("holderIdentity"), spec.get("renewTime"))
        if sign != self.sign:
            self.lasted = 0
        elif self.looked is not None:
            self.lasted += now - self.looked
        self.sign, self.looked = sign, now
        return self.lasted

    def cut_off(self):
        """Where this process gets no answer, the deploy gets none either: that time says nothing of it."""
        self.looked = None


def safe_patch(route, now):
    """All traffic to the stable revision, and the state as it is now, taken back."""
    patch = json.loads(os.environ["SAFE_PATCH"])
    annotations = patch["metadata"]["annotations"]
    safe = json.loads(annotations[STATE])
    state = {**state_of(route), "phase": safe["phase"], "message": safe["message"], "since": now}
    annotations[STATE] = json.dumps(state)
    # Should anybody have written meanwhile, the API server refuses the patch.
    patch["metadata"]["resourceVersion"] = route["metadata"]["resourceVersion"]
    return patch


def state_of(route):
    annotations = route["metadata"].get("annotations", {}) if route else {}
    return json.loads(annotations.get(STATE, "{}"))


def main():
    namespace = os.environ["NAMESPACE"]
    route_path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{os.environ['ROUTE']}"
    lease_path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{os.environ['LEASE']}"
    silence = Silence()
    while True:
        try:
            route, now = found(route_path)
            state = state_of(route)
            if state.get("id") != os.environ["ROLLOUT"] or state["phase"] in os.environ["OVER"].split():
                return
            lease, _ = found(lease_path)
            lasted = silence.look(lease, time.monotonic())
            if state["phase"] in os.environ["EXPOSED"].split() and lasted >= float(os.environ["UNATTENDED_SECONDS"]):
                patch = safe_patch(route, now)
                ask(route_path, patch)
                print(json.loads(patch["metadata"]["annotations"][STATE])["message"], flush=True)
                return
        except urllib.error.HTTPError as error:
            # Somebody else wrote first, or the API server is not well: it looks again.
            if error.code != 409:
                silence.cut_off()
            print(f"looking again: {error}", flush=True)
        except (OSError, http.client.HTTPException, ValueError) as error:
            silence.cut_off()
            print(f"looking again: {error}", flush=True)
        time.sleep(1)


main()
