package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/replay"
)

// labReplayFlags are the flags of lab replay.
type labReplayFlags struct {
	kernel, format string
	hosts, set     []string
}

func (a *app) labReplayCommand() *cobra.Command {
	var f labReplayFlags
	cmd := &cobra.Command{
		Use:   "replay FILE... --host ADDRESS",
		Short: "Hold the model against what a kernel did in a capture",
		Long: `Replay walks through a capture beside the model of the kernel of one end, which
--host names by its addresses. It keeps everything that this kernel may hold for
each connection, and explains each frame that it sent: by a reply that the model
predicts, by what an application may do in that state, or by a timer. The first
frame that nothing explains, and the first answer that had to come and did not,
contradict the model, or what was said of the host. It needs no root.

A capture must miss nothing between the end and the capture point: a frame that
was not captured looks like an answer that did not come.`,
		Example: `  tcpwhy lab replay --host 10.9.0.1 --kernel 5.10.223 --set tcp_rfc1337=0 trace.pcap`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{err: errors.New("no capture given"), hint: "tcpwhy lab replay --host ADDRESS FILE..., or - for stdin"}
			}
			return readOnce(args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := f.host()
			if err != nil {
				return err
			}
			res, err := replay.Files(cmd.Context(), h, args, a.stdin)
			if err != nil {
				return err
			}
			r := res.Report(h)
			if f.format == "json" {
				err = writeJSON(a.stdout, r)
			} else {
				err = r.WriteText(a.stdout)
			}
			if err == nil && r.Mismatches > 0 {
				return errMismatch
			}
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&f.hosts, "host", nil, "the `ADDRESS` of the end; may be repeated")
	fs.StringVar(&f.kernel, "kernel", "", "its kernel, `RELEASE` as uname -r prints it (default: not known)")
	fs.Var(repeated{&f.set}, "set", "a sysctl of it, `SYSCTL=VALUE`; may be repeated (default: not known)")
	addChoice(cmd, &f.format, "format", "how to write the result", "text", "json")
	return cmd
}

func (f *labReplayFlags) host() (*replay.Host, error) {
	if len(f.hosts) == 0 {
		return nil, &usageError{err: errors.New("--host is missing"), hint: "name the end whose kernel is asked about: --host 10.0.0.2"}
	}
	addrs := make([]netip.Addr, len(f.hosts))
	for i, s := range f.hosts {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--host: %q is no address", s)}
		}
		addrs[i] = a
	}
	h, err := replay.NewHost(f.kernel, addrs...)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("--kernel: %w", err)}
	}
	for _, s := range f.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, &usageError{err: fmt.Errorf("--set: %q is not SYSCTL=VALUE", s)}
		}
		if err := h.Set(name, value); err != nil {
			return nil, &usageError{err: fmt.Errorf("--set: %w", err)}
		}
	}
	return h, nil
}
