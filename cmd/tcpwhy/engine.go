package main

import (
	"context"
	"errors"
	"io"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

type Options struct {
	Facts, FactFiles []string
	Stdin            io.Reader
	Connection       func(*report.Connection) error
	NoFindings       bool
}

type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

type explainFunc func(context.Context, []string, Options) (*report.Report, error)

var engine explainFunc = func(context.Context, []string, Options) (*report.Report, error) {
	return nil, errors.New("no engine")
}
