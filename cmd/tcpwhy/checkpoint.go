package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy"
)

// A checkpoint lets a long run go on after it was killed at any moment. It records how long the
// output was behind the last whole findings. The capture itself holds all else: a restart
// reads it again from its start, and the findings that it comes to are the same, byte for
// byte, as far as they were written. Those are compared with the output, not written again; what
// stands in the output behind the recorded length is cut off.

// checkpointSchema names the contract of a checkpoint's file.
const checkpointSchema = "tcpwhy.checkpoint/1"

// checkpointEvery is how often a checkpoint is written at most. What was written to the output
// since is written again after a restart.
const checkpointEvery = 200 * time.Millisecond

// checkpoint is such a file, as JSON.
type checkpoint struct {
	Schema string `json:"schema"`
	MadeBy string `json:"made_by"`
	// Input is the path that was followed, and Options are the flags that decide what is written.
	Input   string   `json:"input"`
	Options []string `json:"options"`
	// Output is the length in bytes up to which the output holds whole findings.
	Output int64 `json:"output"`
	// Frame is the last packet that was read, Sources the files, how far each was read.
	Frame   uint64             `json:"frame"`
	Sources []checkpointSource `json:"sources"`
}

type checkpointSource struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// resumed is an output with a checkpoint.
type resumed struct {
	path, output string
	f            *os.File
	was          checkpoint // as it was found; its Output is what is compared, not written
	now          checkpoint
	at           int64 // length of what was given so far
	begun        bool  // what the checkpoint does not speak of was cut off
	dirty        bool  // something was given since the checkpoint
	written      time.Time
}

// openResumed opens an output that goes on where its checkpoint says; without one it is begun anew.
func openResumed(output, path, input string, options []string) (*resumed, error) {
	r := &resumed{path: path, output: output}
	data, err := os.ReadFile(path)
	begins := errors.Is(err, fs.ErrNotExist)
	if err != nil && !begins {
		return nil, err
	}
	r.now = checkpoint{Schema: checkpointSchema, MadeBy: madeBy(), Input: input, Options: options, Sources: []checkpointSource{}}
	if !begins {
		if err := json.Unmarshal(data, &r.was); err != nil || r.was.Schema != checkpointSchema {
			return nil, fmt.Errorf("%s: is no checkpoint of tcpwhy: name another file", path)
		}
		if err := r.fits(); err != nil {
			return nil, err
		}
	}
	flags := os.O_RDWR | os.O_CREATE
	if begins {
		flags |= os.O_TRUNC
	}
	if r.f, err = os.OpenFile(output, flags, 0o666); err != nil {
		return nil, err
	}
	size, err := r.f.Seek(0, io.SeekEnd)
	if err == nil && size < r.was.Output {
		err = fmt.Errorf("%s: has %d bytes, its checkpoint %s speaks of %d: %s", output, size, path, r.was.Output, anew)
	}
	if err == nil {
		_, err = r.f.Seek(0, io.SeekStart)
	}
	if err == nil && begins {
		err = r.save() // from now on the output is not begun anew
	}
	if err != nil {
		return nil, errors.Join(err, r.f.Close())
	}
	return r, nil
}

// anew is what to do where a run cannot go on.
const anew = "remove both to begin anew"

// fits compares the checkpoint with what is asked for now, and with the files that it speaks of.
func (r *resumed) fits() error {
	switch {
	case r.was.Input != r.now.Input:
		return fmt.Errorf("%s: is the checkpoint of %s, not of %s: name another file", r.path, r.was.Input, r.now.Input)
	case !slices.Equal(r.was.Options, r.now.Options):
		return fmt.Errorf("%s: was made with other options, with which the output would be another: give the same, or %s", r.path, anew)
	}
	for _, s := range r.was.Sources {
		info, err := os.Stat(s.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s: is gone, and the run of the checkpoint %s cannot go on without what it holds: bring it back, or %s", s.Name, r.path, anew)
		case err != nil:
			return err
		case info.Size() < s.Bytes:
			return fmt.Errorf("%s: has %d bytes, of which %d were read before the checkpoint %s: it was written anew; %s", s.Name, info.Size(), s.Bytes, r.path, anew)
		}
	}
	return nil
}

func (r *resumed) give(b []byte, at tcpwhy.Position) error {
	if r.at < r.was.Output {
		return r.compare(b)
	}
	if err := r.append(b); err != nil {
		return err
	}
	r.at += int64(len(b))
	r.dirty = true
	r.note(at)
	if time.Since(r.written) < checkpointEvery {
		return nil
	}
	return r.save()
}

// compare holds what is given against what was written before.
func (r *resumed) compare(b []byte) error {
	had := make([]byte, len(b))
	if r.at+int64(len(b)) > r.was.Output {
		return r.differs()
	}
	if _, err := io.ReadFull(r.f, had); err != nil {
		return fmt.Errorf("%s: %w", r.output, err)
	}
	if !bytes.Equal(had, b) {
		return r.differs()
	}
	r.at += int64(len(b))
	return nil
}

// append writes behind what the checkpoint speaks of; what else stood there is cut off.
func (r *resumed) append(b []byte) error {
	if !r.begun {
		r.begun = true
		if err := r.f.Truncate(r.at); err != nil {
			return err
		}
		if _, err := r.f.Seek(r.at, io.SeekStart); err != nil {
			return err
		}
	}
	_, err := r.f.Write(b)
	return err
}

func (r *resumed) differs() error {
	return fmt.Errorf("%s: is not what %s leads to now, at byte %d: the capture, the facts or tcpwhy is another than before (%s made it); %s", r.output, r.now.Input, r.at, r.was.MadeBy, anew)
}

func (r *resumed) note(at tcpwhy.Position) {
	r.now.Frame = at.Frame
	r.now.Sources = r.now.Sources[:0]
	for _, s := range at.Sources {
		r.now.Sources = append(r.now.Sources, checkpointSource(s))
	}
}

func (r *resumed) pause(at tcpwhy.Position) error {
	if r.at < r.was.Output {
		if at.Frame < r.was.Frame {
			return nil // what was read before has not all come again: a file may be slow to appear
		}
		return r.differs()
	}
	if !r.dirty {
		return nil
	}
	return r.save()
}

// save writes the checkpoint: the output is on the disk before it.
func (r *resumed) save() error {
	if err := r.f.Sync(); err != nil {
		return err
	}
	r.now.Output = r.at
	data, err := json.MarshalIndent(r.now, "", "  ")
	if err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(r.path), "."+filepath.Base(r.path)+".tmp")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, r.path); err != nil {
		return err
	}
	r.dirty, r.written = false, time.Now()
	return syncDir(filepath.Dir(r.path))
}

// last writes what a later run takes back: the next checkpoint stands before it.
func (r *resumed) last(b []byte) error {
	if r.at < r.was.Output {
		return fmt.Errorf("%s: interrupted before all was read again that had been read; it is left as it was", r.output)
	}
	if r.dirty {
		if err := r.save(); err != nil {
			return err
		}
	}
	return r.append(b)
}

func (r *resumed) close() error { return errors.Join(r.f.Sync(), r.f.Close()) }
