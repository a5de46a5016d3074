package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// address is that of the interface which the default route leaves by.
func address() (string, error) {
	// No packet is sent: the kernel picks the address.
	probe, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return "", fmt.Errorf("this machine has no IPv4 address with a route: %w", err)
	}
	defer probe.Close()
	host, _, err := net.SplitHostPort(probe.LocalAddr().String())
	return host, err
}

// stayInside lets no packet for a pod or a Service leave the machine: where there
// is none, or none yet, somebody outside could answer in its place.
func stayInside() error {
	_, pods, err := net.ParseCIDR(podCIDR)
	if err != nil {
		return err
	}
	if err := netlink.RouteReplace(&netlink.Route{Dst: pods, Type: unix.RTN_UNREACHABLE}); err != nil {
		return fmt.Errorf("no route can be made for %s: %w", podCIDR, err)
	}
	// What kube-proxy knows has the address of a pod by the time it comes here.
	refuse := func(chain string) error {
		return output(context.Background(), "iptables", "--wait", "-A", chain, "-d", serviceCIDR, "-j", "REJECT")
	}
	return errors.Join(refuse("FORWARD"), refuse("OUTPUT"))
}
