package replay

import (
	"context"
	"errors"
	"io"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Files replays one or several captures, merged by time; "-" is stdin. What was
// taken until an error occurred is in the result.
func Files(ctx context.Context, h *Host, paths []string, stdin io.Reader) (Result, error) {
	in, err := capture.Open(paths, capture.Options{Stdin: stdin})
	if err != nil {
		return Result{}, err
	}
	r := New(h)
	err = r.takeAll(ctx, in)
	return r.Result(), errors.Join(err, in.Close())
}

func (r *Replayer) takeAll(ctx context.Context, in *capture.Reader) error {
	batch := make([]segment.Segment, 64)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.Read(batch)
		for i := range batch[:n] {
			if !r.Take(&batch[i]) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
