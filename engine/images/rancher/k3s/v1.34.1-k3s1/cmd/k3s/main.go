// Command k3s is a Kubernetes node in one program: `k3s server` starts and watches
// the parts of a single-node cluster, and every part is this program again under
// another name. It takes the flags, and keeps the files, of the k3s of the Rancher
// project as far as a throw-away cluster needs them.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata" // time zones of CronJobs

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// What this program is, by the name that it is called by or by its first argument.
var roles = map[string]func(args []string) int{
	"server":                  serve,
	"kubectl":                 runKubectl,
	"etcd":                    func(args []string) int { etcdmain.Main(append([]string{"etcd"}, args...)); return 0 },
	"coredns":                 runCoreDNS,
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllers.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
}

func main() {
	args := os.Args[1:]
	name := filepath.Base(os.Args[0])
	if roles[name] == nil && len(args) > 0 {
		name, args = args[0], args[1:]
	}
	role := roles[name]
	if role == nil {
		fmt.Fprintf(os.Stderr, "k3s: no command %q: there are %s\n", name, strings.Join(slices.Sorted(maps.Keys(roles)), ", "))
		os.Exit(2)
	}
	os.Exit(role(args))
}

// Commands of Kubernetes read their arguments from os.Args.
func command(make func() *cobra.Command) func(args []string) int {
	return func(args []string) int {
		made := make()
		made.SetArgs(args)
		return cli.Run(made)
	}
}

func runKubectl(args []string) int {
	if _, err := os.Stat(kubeconfigFile); err == nil && os.Getenv("KUBECONFIG") == "" {
		os.Setenv("KUBECONFIG", kubeconfigFile)
	}
	// kubectl looks for plugins, and for its verbosity, in os.Args.
	os.Args = slices.Concat([]string{"kubectl"}, args)
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	return 0
}
