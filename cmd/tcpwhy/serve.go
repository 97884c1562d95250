package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/web"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	listen string
	remote bool
	max    byteSize
}

func (a *app) serveCommand() *cobra.Command {
	f := serveFlags{max: web.DefaultMaxUpload}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a local web page on which captures are explored",
		Long: `Serve answers on 127.0.0.1 with a web page: drop a capture on it, look at its
findings and connections, follow each reason to its frames, and ask the kernel
model what if. It prints the page's URL; the token in it is what lets a browser
in. A capture is read as it comes in, by this process, and is not kept.
Interrupt it (Ctrl-C) to stop.

With --listen on another address than this machine's own, whoever reaches that
address and knows the URL can read every capture that was dropped, and the
connection is not encrypted: --allow-remote says that this is meant. From
another machine a tunnel is better: ssh -L 8080:127.0.0.1:8080 HOST.

The JSON API under the page is described by /api/openapi.json; programs send the
token as "Authorization: Bearer TOKEN".`,
		Example: `  tcpwhy serve
  tcpwhy serve --listen 127.0.0.1:8080 --max-upload 8GiB
  tcpwhy serve --listen 192.0.2.7:8080 --allow-remote`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runServe(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.listen, "listen", "127.0.0.1:0", "the `ADDRESS:PORT` to answer on; port 0: any that is free")
	fs.BoolVar(&f.remote, "allow-remote", false, "let other machines in, without encryption")
	fs.Var(&f.max, "max-upload", "how many bytes a capture may have, for example 500MiB")
	return cmd
}

func (a *app) runServe(cmd *cobra.Command, f *serveFlags) error {
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return &usageError{err: fmt.Errorf("--listen %s: expected ADDRESS:PORT", f.listen)}
	}
	remote := !isLoopback(host)
	if remote && !f.remote {
		return &usageError{
			err:  fmt.Errorf("--listen %s is not this machine alone: whoever reaches it and knows the URL reads your captures, and nothing is encrypted", f.listen),
			hint: "if that is meant say --allow-remote; or listen on 127.0.0.1 and reach it by ssh -L",
		}
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	name, _ := os.Hostname() // without it the address is shown
	s, err := web.New(web.Config{
		Explain: a.explain, Version: madeBy(), MaxUpload: int64(f.max),
		Remote: remote, Hosts: []string{name, host},
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if remote {
		a.talk("warning", "other machines can reach this page: who knows its URL reads every capture that is dropped, and nothing is encrypted")
	}
	if _, err := fmt.Fprintln(a.stdout, s.URL(l.Addr(), name)); err != nil {
		return errors.Join(err, l.Close())
	}
	a.talk("note", "open this URL in a browser; interrupt (Ctrl-C) to stop")
	return s.Serve(cmd.Context(), l)
}

// isLoopback tells whether a host part of an address is this machine alone.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// byteSize is a flag that takes a number of bytes with an optional unit.
type byteSize int64

var sizeUnits = []struct {
	name string
	n    int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String prints it with the largest unit that divides it.
func (b *byteSize) String() string {
	if *b == 0 {
		return "0" // none was given
	}
	for _, u := range sizeUnits {
		if int64(*b)%u.n == 0 {
			return strconv.FormatInt(int64(*b)/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Type is what help calls it.
func (b *byteSize) Type() string { return "SIZE" }

// Set reads it.
func (b *byteSize) Set(s string) error {
	number, unit := s, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = rest, u.n
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return errors.New("expected a size such as 500MiB or 2GiB")
	}
	*b = byteSize(n * unit)
	return nil
}
