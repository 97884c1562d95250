package pasted_test

import (
	"net/netip"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

func addr(s string) segment.Addr { return segment.AddrFromNetip(netip.MustParseAddr(s)) }

func atTime(ns int64) segment.Ref { return segment.Ref{Time: ns} }
