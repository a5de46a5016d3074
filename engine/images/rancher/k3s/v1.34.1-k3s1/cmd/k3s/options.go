package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// What the k3s of the Rancher project brings along and this one does not.
var absent = []string{"traefik", "servicelb", "metrics-server", "local-storage"}

type options struct {
	name           string
	sans           []string
	snapshotter    string
	kubeconfigMode os.FileMode
	// Further arguments by part, as `name=value`.
	further map[string][]string
}

// parseOptions reads the flags of `k3s server`. What this node would do another
// way than the flags say is an error, so that nobody takes one k3s for the other.
func parseOptions(args []string) (options, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return options{}, err
	}
	o := options{name: hostname, snapshotter: "overlayfs", kubeconfigMode: 0o600, further: map[string][]string{}}
	var disabled []string
	flags := flag.NewFlagSet("k3s server", flag.ContinueOnError)
	list := func(to *[]string) func(string) error {
		return func(value string) error {
			*to = append(*to, strings.Split(value, ",")...)
			return nil
		}
	}
	flags.StringVar(&o.name, "node-name", o.name, "the name of the node")
	flags.Func("tls-san", "further `names` and addresses in the API server's certificate", list(&o.sans))
	flags.Func("disable", "`components` not to deploy", list(&disabled))
	flags.Func("snapshotter", "containerd's snapshotter: overlayfs or native", oneOf(&o.snapshotter, "overlayfs", "native"))
	flags.Func("write-kubeconfig-mode", "the `mode` of "+kubeconfigFile, func(value string) error {
		mode, err := strconv.ParseUint(value, 8, 9)
		o.kubeconfigMode = os.FileMode(mode)
		return err
	})
	backend := ""
	flags.Func("flannel-backend", "how pods of other nodes are reached: host-gw", oneOf(&backend, "host-gw"))
	policies := flags.Bool("disable-network-policy", false, "do not enforce network policies")
	for _, part := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"} {
		flags.Func(part+"-arg", "a further flag of "+part+", as `name=value`", func(value string) error {
			o.further[part] = append(o.further[part], "--"+value)
			return nil
		})
	}
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, name := range absent {
		if !slices.Contains(disabled, name) {
			return options{}, fmt.Errorf("there is no %s here: start with --disable=%s", name, strings.Join(absent, ","))
		}
	}
	for _, name := range disabled {
		if !slices.Contains(absent, name) {
			return options{}, fmt.Errorf("--disable=%s: only %s can be disabled", name, strings.Join(absent, ", "))
		}
	}
	if !*policies {
		return options{}, fmt.Errorf("network policies are kept and not enforced here: start with --disable-network-policy")
	}
	return o, nil
}

func oneOf(to *string, allowed ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("allowed: %s", strings.Join(allowed, ", "))
		}
		*to = value
		return nil
	}
}
