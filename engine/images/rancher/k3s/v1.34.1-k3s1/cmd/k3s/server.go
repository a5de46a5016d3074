package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Where things are, as in the k3s of the Rancher project.
const (
	kubeconfigFile = "/etc/rancher/k3s/k3s.yaml"
	registriesFile = "/etc/rancher/k3s/registries.yaml"
	stateDir       = "/var/lib/rancher/k3s"
	tlsDir         = stateDir + "/server/tls"
	manifestsDir   = stateDir + "/server/manifests"
	imagesDir      = stateDir + "/agent/images"
	etcDir         = stateDir + "/agent/etc"
	logDir         = "/var/log/k3s"

	podCIDR     = "10.42.0.0/16"
	nodeCIDR    = "10.42.0.0/24"
	serviceCIDR = "10.43.0.0/16"
	apiIP       = "10.43.0.1"
	dnsIP       = "10.43.0.10"
	api         = "https://127.0.0.1:6443"

	// The image of every pod's first container; it comes with this image.
	pauseImage   = "rancher/mirrored-pause:3.6"
	pauseArchive = "/usr/share/k3s/pause.tar"
)

// A node is a Kubernetes cluster of one machine, while it runs.
type node struct {
	options
	ip      string
	started time.Time
	client  *http.Client
	// The first part that ends says why here.
	ended chan error
}

// serve is `k3s server`.
func serve(args []string) int {
	options, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "k3s server:", err)
		return 2
	}
	if os.Getpid() == 1 {
		return asInit(append([]string{"server"}, args...))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	n := &node{options: options, started: time.Now(), ended: make(chan error, 16)}
	err = n.run(ctx)
	if ctx.Err() != nil {
		n.say("stopped")
		return 0
	}
	n.say("%v", err)
	return 1
}

// run brings the node up, and gives back why it is at its end.
func (n *node) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := n.prepare(); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		if err := n.bringUp(ctx); err != nil {
			failed <- err
		}
	}()
	select {
	case err := <-n.ended:
		return err
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bringUp starts the parts, each as soon as what it needs answers.
func (n *node) bringUp(ctx context.Context) error {
	for _, name := range []string{"etcd", "containerd"} {
		if err := n.start(ctx, name); err != nil {
			return err
		}
	}
	// An API server that finds no etcd waits a second before it looks again.
	if err := until(ctx, func() error { return n.get(ctx, "http://127.0.0.1:2379/health", nil) }); err != nil {
		return fmt.Errorf("etcd does not answer: %w", err)
	}
	if err := n.start(ctx, "kube-apiserver"); err != nil {
		return err
	}
	if err := until(ctx, func() error { return output(ctx, "ctr", "version") }); err != nil {
		return fmt.Errorf("containerd does not answer: %w", err)
	}
	archives, err := filepath.Glob(imagesDir + "/*.tar")
	if err != nil {
		return err
	}
	for _, archive := range append([]string{pauseArchive}, archives...) {
		if err := output(ctx, "ctr", "--namespace", "k8s.io", "images", "import", archive); err != nil {
			return err
		}
	}
	if err := until(ctx, func() error { return n.get(ctx, api+"/readyz", nil) }); err != nil {
		return fmt.Errorf("the API server does not become ready: %w", err)
	}
	if err := writeKubeconfig(kubeconfigFile, "admin", n.kubeconfigMode); err != nil {
		return err
	}
	n.say("the API server is ready")
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"} {
		if err := n.start(ctx, name); err != nil {
			return err
		}
	}
	// Parts live as long as the node, and not just until all of these are done.
	var all errgroup.Group
	all.Go(func() error { return n.serveNames(ctx) })
	all.Go(func() error { return n.applyManifests(ctx) })
	all.Go(func() error {
		if err := until(ctx, func() error { return n.ready(ctx) }); err != nil {
			return fmt.Errorf("the node does not become ready: %w", err)
		}
		return nil
	})
	if err := all.Wait(); err != nil {
		return err
	}
	n.say("node %s is ready", n.name)
	return nil
}

func (n *node) serveNames(ctx context.Context) error {
	// The right to read what it serves comes before the server.
	if err := n.apply(ctx, etcDir+"/coredns-access.yaml"); err != nil {
		return err
	}
	if err := n.start(ctx, "coredns"); err != nil {
		return err
	}
	if err := until(ctx, func() error { return n.get(ctx, "http://127.0.0.1:8181/ready", nil) }); err != nil {
		return fmt.Errorf("CoreDNS does not become ready: %w", err)
	}
	return n.apply(ctx, etcDir+"/coredns.yaml")
}

// applyManifests applies what users of the image have laid out, in the order of
// its names.
func (n *node) applyManifests(ctx context.Context) error {
	manifests, err := filepath.Glob(manifestsDir + "/*.yaml")
	if err != nil {
		return err
	}
	for _, manifest := range manifests {
		if err := n.apply(ctx, manifest); err != nil {
			return err
		}
	}
	return nil
}

// start starts a part, which ends the node when it ends; but an API server that
// has served may be killed, and is started again, as all others wait for it.
func (n *node) start(ctx context.Context, name string) error {
	path := filepath.Join(logDir, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	program := "/proc/self/exe"
	if name == "containerd" {
		program = name
	}
	cmd := exec.CommandContext(ctx, program, n.arguments(name)...)
	cmd.Args[0] = name
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	began := time.Now()
	go func() {
		err := cmd.Wait()
		if name == "kube-apiserver" && ctx.Err() == nil && time.Since(began) > served {
			n.say("%s ended (%v), and is started again", name, err)
			if err = n.start(ctx, name); err == nil {
				return
			}
		}
		said, _ := os.ReadFile(path)
		n.ended <- fmt.Errorf("%s ended (%v), and so does the node; its last words:\n%s", name, err, lastLines(said, 20))
	}()
	return nil
}

// apply applies a file of manifests; what they need, a kind or a namespace, may
// come a moment later.
func (n *node) apply(ctx context.Context, file string) error {
	err := until(ctx, func() error {
		return output(ctx, "kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager=k3s", "-f", file)
	})
	if err != nil {
		return fmt.Errorf("%s cannot be applied: %w", file, err)
	}
	return nil
}

// ready says why the node is not ready to take pods.
func (n *node) ready(ctx context.Context) error {
	var found struct {
		Spec struct {
			Taints []struct{ Key string }
		}
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := n.get(ctx, api+"/api/v1/nodes/"+n.name, &found); err != nil {
		return err
	}
	if len(found.Spec.Taints) > 0 {
		return fmt.Errorf("it has the taint %s", found.Spec.Taints[0].Key)
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type == "Ready" && condition.Status != "True" {
			return errors.New(condition.Message)
		}
	}
	return nil
}

// get asks with an administrator's rights.
func (n *node) get(ctx context.Context, url string, to any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := n.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, answer.Status, lastLines(body, 5))
	}
	if to == nil {
		return nil
	}
	return json.Unmarshal(body, to)
}

func (n *node) connect() error {
	pair, err := tls.LoadX509KeyPair(tlsDir+"/admin.crt", tlsDir+"/admin.key")
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(tlsDir + "/server-ca.crt")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	n.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots},
	}}
	return nil
}

func (n *node) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "k3s: %.1f s: %s\n", time.Since(n.started).Seconds(), fmt.Sprintf(format, args...))
}

// How long a part has until it answers.
const patience = 2 * time.Minute

// An API server that ends sooner than this cannot start.
const served = 10 * time.Second

// until tries again until it is well, and gives back the last trouble.
func until(ctx context.Context, try func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// output runs a command to its end; what it says is its error.
func output(ctx context.Context, name string, args ...string) error {
	said, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(append([]string{filepath.Base(name)}, args...), " "), err, lastLines(said, 5))
	}
	return nil
}

func lastLines(text []byte, count int) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-count):], []byte("\n")))
}

// asInit runs this program as a child, reaps what is left to the first process of
// a container, and ends as the child ends.
func asInit(args []string) int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	child, err := os.StartProcess("/proc/self/exe", slices.Concat([]string{"k3s"}, args), &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "k3s:", err)
		return 1
	}
	go func() {
		for received := range signals {
			child.Signal(received)
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil && err != syscall.EINTR {
			fmt.Fprintln(os.Stderr, "k3s:", err)
			return 1
		}
		if pid == child.Pid {
			return status.ExitStatus()
		}
	}
}
