"""The dead-man's switch of a rollout. A Job runs this in the cluster for as long as an unproven revision gets requests.

It watches the Lease that a working deploy renews every few seconds. When the lease has not been renewed for
UNATTENDED_SECONDS, by this process's own count, the patch in SAFE_PATCH takes all traffic back to the stable revision.
It ends by itself when the rollout is over, or another one has taken its place.
"""

import json
import os
import ssl
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
NAMESPACE = os.environ["NAMESPACE"]
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{os.environ['LEASE']}"
ROUTE = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes/{os.environ['ROUTE']}"
TRUST = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
EXPOSED = ("shifting", "promoting")
OVER = ("settling", "promoted", "aborting", "aborted")


def ask(path, patch=None):
    # The token is renewed on disk while the Job runs.
    with open(f"{ACCOUNT}/token", encoding="ascii") as token:
        headers = {"Authorization": f"Bearer {token.read()}", "Content-Type": "application/merge-patch+json"}
    body = None if patch is None else json.dumps(patch).encode()
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    address = f"https://{f'[{host}]' if ':' in host else host}:{os.environ['KUBERNETES_SERVICE_PORT']}{path}"
    request = urllib.request.Request(address, body, headers, method="GET" if patch is None else "PATCH")
    with urllib.request.urlopen(request, timeout=10, context=TRUST) as answer:
        return json.load(answer)


def unattended(lease, seen, now):
    """What was seen last of the lease, and since when it has been so."""
    sign = (lease["spec"].get("holderIdentity"), lease["spec"].get("renewTime"))
    return seen if seen and seen[0] == sign else (sign, now)


def take_back(route, rollout):
    annotations = {**rollout, "phase": "aborting", "since": round(time.time() * 1000)}
    annotations["message"] = f"unattended for {os.environ['UNATTENDED_SECONDS']} s: traffic was taken back by the watch in the cluster"
    patch = json.loads(os.environ["SAFE_PATCH"])
    patch["metadata"]["resourceVersion"] = route["metadata"]["resourceVersion"]
    patch["metadata"]["annotations"]["pitwall.dev/rollout"] = json.dumps(annotations)
    patch["metadata"]["annotations"]["pitwall.dev/message"] = annotations["message"]
    ask(ROUTE, patch)
    print(annotations["message"], flush=True)


def main():
    patience = float(os.environ["UNATTENDED_SECONDS"])
    seen = None
    while True:
        try:
            route = ask(ROUTE)
            rollout = json.loads(route["metadata"]["annotations"]["pitwall.dev/rollout"])
            if rollout["id"] != os.environ["ROLLOUT"] or rollout["phase"] in OVER:
                return
            seen = unattended(ask(LEASE), seen, time.monotonic())
            if rollout["phase"] in EXPOSED and time.monotonic() - seen[1] >= patience:
                take_back(route, rollout)
                return
        except (OSError, ValueError) as error:
            # No answer, a restart, or somebody else wrote first: it looks again. Being cut off is no sign of life,
            # so the count goes on.
            print(f"looking again: {error}", flush=True)
        time.sleep(1)


main()
