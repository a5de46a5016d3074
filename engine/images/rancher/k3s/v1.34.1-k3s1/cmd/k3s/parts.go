package main

import "slices"

// arguments gives the command line of a part: what k3s gives to the same part,
// where there is no reason for another.
func (n *node) arguments(part string) []string {
	var args []string
	switch part {
	case "etcd":
		// The data ends with the node, so nothing waits for a disk.
		args = []string{
			"--data-dir=" + stateDir + "/server/db", "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380",
		}
	case "containerd":
		args = []string{"--config", etcDir + "/containerd.toml"}
	case "coredns":
		args = []string{etcDir + "/Corefile"}
	case "kube-apiserver":
		args = []string{
			"--etcd-servers=http://127.0.0.1:2379",
			"--advertise-address=" + n.ip,
			"--secure-port=6443",
			"--service-cluster-ip-range=" + serviceCIDR,
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--anonymous-auth=false",
			"--allow-privileged=true",
			"--client-ca-file=" + tlsDir + "/client-ca.crt",
			"--tls-cert-file=" + tlsDir + "/apiserver.crt",
			"--tls-private-key-file=" + tlsDir + "/apiserver.key",
			"--kubelet-certificate-authority=" + tlsDir + "/server-ca.crt",
			"--kubelet-client-certificate=" + tlsDir + "/apiserver-client.crt",
			"--kubelet-client-key=" + tlsDir + "/apiserver-client.key",
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + tlsDir + "/service.key",
			"--service-account-signing-key-file=" + tlsDir + "/service.key",
		}
	case "kube-controller-manager":
		args = []string{
			"--kubeconfig=" + kubeconfigOf("controller-manager"),
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + tlsDir + "/service.key",
			"--root-ca-file=" + tlsDir + "/server-ca.crt",
			"--allocate-node-cidrs=true",
			"--cluster-cidr=" + podCIDR,
			"--service-cluster-ip-range=" + serviceCIDR,
		}
	case "kube-scheduler":
		args = []string{
			"--kubeconfig=" + kubeconfigOf("scheduler"),
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
		}
	case "kube-proxy":
		args = []string{
			"--kubeconfig=" + kubeconfigOf("kube-proxy"),
			"--proxy-mode=iptables",
			"--cluster-cidr=" + podCIDR,
			"--hostname-override=" + n.name,
			// The machine's, and read-only in a container.
			"--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0s",
			"--conntrack-tcp-timeout-close-wait=0s",
		}
	case "kubelet":
		args = []string{
			"--kubeconfig=" + kubeconfigOf("kubelet"),
			"--config=" + etcDir + "/kubelet.yaml",
			"--hostname-override=" + n.name,
			"--node-ip=" + n.ip,
		}
	}
	return slices.Concat(args, n.further[part])
}
