package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// prepare lays out what the parts read when they start.
func (n *node) prepare() error {
	for _, dir := range []string{tlsDir, manifestsDir, imagesDir, etcDir, logDir, filepath.Dir(kubeconfigFile), cniDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	ip, err := address()
	if err != nil {
		return err
	}
	n.ip = ip
	mirrors, err := readRegistries()
	if err != nil {
		return err
	}
	return errors.Join(controlGroups(), stayInside(), n.certificates(), n.connect(), n.files(), writeMirrors(mirrors))
}

// controlGroups makes room for pods: of the unified hierarchy, a group with
// processes of its own cannot hand out resources.
func controlGroups() error {
	const root = "/sys/fs/cgroup"
	controllers, err := os.ReadFile(root + "/cgroup.controllers")
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.MkdirAll(root+"/init", 0o755); err != nil {
		return err
	}
	processes, err := os.ReadFile(root + "/cgroup.procs")
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(processes)) {
		// One that has ended meanwhile needs no moving.
		os.WriteFile(root+"/init/cgroup.procs", []byte(pid), 0o644)
	}
	enable := "+" + strings.Join(strings.Fields(string(controllers)), " +")
	return os.WriteFile(root+"/cgroup.subtree_control", []byte(enable), 0o644)
}

// certificates says who is who, for as long as the node lives.
func (n *node) certificates() error {
	servers, err := newAuthority(tlsDir, "server-ca")
	if err != nil {
		return err
	}
	clients, err := newAuthority(tlsDir, "client-ca")
	if err != nil {
		return err
	}
	_, err = newKey(tlsDir + "/service.key")
	names := append([]string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", apiIP, n.ip, n.name,
	}, n.sans...)
	return errors.Join(err,
		servers.server("apiserver", names),
		servers.server("kubelet-server", []string{n.name, n.ip, "127.0.0.1"}),
		clients.client("admin", "system:admin", "system:masters"),
		clients.client("apiserver-client", "system:apiserver", "system:masters"),
		clients.client("controller-manager", "system:kube-controller-manager"),
		clients.client("scheduler", "system:kube-scheduler"),
		clients.client("kube-proxy", "system:kube-proxy"),
		clients.client("kubelet", "system:node:"+n.name, "system:nodes"),
		clients.client("coredns", "system:coredns"),
	)
}

func kubeconfigOf(client string) string { return filepath.Join(etcDir, client+".kubeconfig") }

func writeKubeconfig(file, client string, mode os.FileMode) error {
	contents := map[string][]byte{}
	for _, name := range []string{"server-ca.crt", client + ".crt", client + ".key"} {
		data, err := os.ReadFile(filepath.Join(tlsDir, name))
		if err != nil {
			return err
		}
		contents[name] = data
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "default",
		"clusters": []any{map[string]any{"name": "default", "cluster": map[string]any{
			"server": api, "certificate-authority-data": contents["server-ca.crt"]}}},
		"users": []any{map[string]any{"name": "default", "user": map[string]any{
			"client-certificate-data": contents[client+".crt"], "client-key-data": contents[client+".key"]}}},
		"contexts": []any{map[string]any{"name": "default", "context": map[string]any{
			"cluster": "default", "user": "default"}}},
	})
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(file, text, mode), os.Chmod(file, mode))
}

// registries is what of k3s's registries.yaml is heeded.
type registries struct {
	Mirrors map[string]struct {
		Endpoint []string `json:"endpoint"`
	} `json:"mirrors"`
}

func readRegistries() (registries, error) {
	var read registries
	text, err := os.ReadFile(registriesFile)
	if os.IsNotExist(err) {
		return read, nil
	} else if err != nil {
		return read, err
	}
	if err := yaml.UnmarshalStrict(text, &read); err != nil {
		return read, fmt.Errorf("%s: only mirrors with their endpoints are heeded: %w", registriesFile, err)
	}
	return read, nil
}

func writeMirrors(read registries) error {
	for registry, mirror := range read.Mirrors {
		text := fmt.Sprintf("server = \"https://%s\"\n", registry)
		for _, endpoint := range mirror.Endpoint {
			text += fmt.Sprintf("[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", endpoint)
		}
		if registry == "*" {
			registry = "_default"
		}
		dir := filepath.Join(hostsDir, registry)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/hosts.toml", []byte(text), 0o644)); err != nil {
			return err
		}
	}
	return nil
}

const (
	cniDir   = etcDir + "/cni"
	hostsDir = etcDir + "/hosts"
)

func (n *node) files() error {
	files := map[string]string{
		etcDir + "/containerd.toml":     fmt.Sprintf(containerdConfig, stateDir, pauseImage, n.snapshotter, cniDir, hostsDir),
		etcDir + "/kubelet.yaml":        fmt.Sprintf(kubeletConfig, tlsDir, dnsIP),
		etcDir + "/Corefile":            fmt.Sprintf(corefile, n.ip, kubeconfigOf("coredns")),
		etcDir + "/coredns-access.yaml": dnsAccess,
		etcDir + "/coredns.yaml":        fmt.Sprintf(dnsService, dnsIP, n.ip),
		cniDir + "/10-pods.conflist":    fmt.Sprintf(network, nodeCIDR),
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, client := range []string{"controller-manager", "scheduler", "kube-proxy", "kubelet", "coredns"} {
		if err := writeKubeconfig(kubeconfigOf(client), client, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Root in a container may lack the right to make a process less likely to be
// killed than itself.
const containerdConfig = `version = 2
root = "%[1]s/agent/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/%[2]s"
  restrict_oom_score_adj = true
  disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "%[3]s"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "%[4]s"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "%[5]s"
`

// Every pod has a link of its own and is routed: on a bridge, answers from a pod
// to its neighbour would pass by the translation of Service addresses.
const network = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": true,
      "ipam": { "type": "host-local", "ranges": [[{ "subnet": "%s" }]], "routes": [{ "dst": "0.0.0.0/0" }] }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
`

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
protectKernelDefaults: false
authentication:
  anonymous: { enabled: false }
  webhook: { enabled: true }
  x509: { clientCAFile: %[1]s/client-ca.crt }
authorization: { mode: Webhook }
tlsCertFile: %[1]s/kubelet-server.crt
tlsPrivateKeyFile: %[1]s/kubelet-server.key
clusterDomain: cluster.local
clusterDNS: ["%[2]s"]
resolvConf: /etc/resolv.conf
serializeImagePulls: false
evictionHard: { imagefs.available: 5%%, nodefs.available: 5%% }
evictionMinimumReclaim: { imagefs.available: 10%%, nodefs.available: 10%% }
`

const corefile = `.:53 {
  bind %[1]s
  errors
  health 127.0.0.1:8180
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig %[2]s default
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 5
  }
  forward . /etc/resolv.conf
  cache 30 {
    disable success cluster.local
    disable denial cluster.local
  }
  loadbalance
}
`

const dnsAccess = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: "system:coredns" }
rules:
  - apiGroups: [""]
    resources: [endpoints, services, pods, namespaces]
    verbs: [list, watch]
  - apiGroups: [discovery.k8s.io]
    resources: [endpointslices]
    verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "system:coredns" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns" }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:coredns" }]
`

// CoreDNS runs beside the kubelet and not in a pod.
const dnsService = `apiVersion: v1
kind: Service
metadata:
  name: kube-dns
  namespace: kube-system
  labels: { k8s-app: kube-dns, kubernetes.io/name: CoreDNS }
spec:
  clusterIP: %[1]s
  ports:
    - { name: dns, port: 53, protocol: UDP }
    - { name: dns-tcp, port: 53, protocol: TCP }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kube-dns
  namespace: kube-system
  labels: { kubernetes.io/service-name: kube-dns, endpointslice.kubernetes.io/managed-by: k3s }
addressType: IPv4
endpoints: [{ addresses: ["%[2]s"], conditions: { ready: true } }]
ports:
  - { name: dns, port: 53, protocol: UDP }
  - { name: dns-tcp, port: 53, protocol: TCP }
`
