package main

import (
	"fmt"
	"os"

	"github.com/coredns/caddy"
	_ "github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
)

// runCoreDNS serves a Corefile: CoreDNS without its command line, the flags of
// which would be flags of every other part too.
func runCoreDNS(args []string) int {
	err := func() error {
		if len(args) != 1 {
			return fmt.Errorf("one argument expected, a Corefile")
		}
		text, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		caddy.Quiet = true
		caddy.TrapSignals()
		instance, err := caddy.Start(caddy.CaddyfileInput{Filepath: args[0], Contents: text, ServerTypeName: "dns"})
		if err != nil {
			return err
		}
		instance.Wait()
		return nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "coredns:", err)
		return 1
	}
	return 0
}
