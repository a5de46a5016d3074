// The registry of go-containerregistry, with or without the API for referrers, on a port of this machine.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	referrers := flag.Bool("referrers", false, "serve the API for referrers")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().String())
	log.SetFlags(0)
	quiet := registry.Logger(log.New(discard{}, "", 0))
	log.Fatal(http.Serve(listener, registry.New(quiet, registry.WithReferrersSupport(*referrers))))
}

type discard struct{}

func (discard) Write(text []byte) (int, error) { return len(text), nil }
