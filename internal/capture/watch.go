package capture

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrWait: nothing more has come yet, and more may. It is not the end: Read may be called
// again later.
var ErrWait = errors.New("nothing more has come yet")

// watch is a file that grows, or a directory in which such files appear one after another.
// The file whose first record is the latest is the one that is being written: it is live. When a
// file with a later one is there, the one before is over (tcpdump and dumpcap close it
// before they open the next), and what is left of it is read to its end.
type watch struct {
	path string
	dir  bool
	live *source
	// newest is the time of the first record of the file that is live, or was last.
	newest int64
	taken  map[string]*member
	// failed are files that cannot be read, or not yet; each is tried again when it changes.
	failed map[string]failure
	// grown are the files that got longer after they were taken for finished, vanished those that
	// were removed before they were read: the names of the first, and how many.
	grown, vanished losses
}

// member is a file that was taken into the reading, and how it looked when it was looked
// at last.
type member struct {
	source *source
	info   fs.FileInfo
	head   int64
	over   bool  // it was read to its end
	read   int64 // bytes read then
	grown  bool
}

type failure struct {
	size int64
	mod  time.Time
	err  error
}

type losses struct {
	first string
	count uint64
}

func (l *losses) add(name string) {
	if l.count++; l.count == 1 {
		l.first = name
	}
}

// follow begins to follow the only path.
func (r *Reader) follow(paths []string) error {
	if len(paths) != 1 {
		return errors.New("one capture can be followed at a time: a file, a directory or standard input")
	}
	w := &watch{path: paths[0], newest: math.MinInt64, taken: map[string]*member{}, failed: map[string]failure{}}
	info, err := os.Stat(w.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: check the name, or begin the capture first", w.path, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("%s: cannot be opened: %w", w.path, cause(err))
	case !info.IsDir() && !info.Mode().IsRegular():
		return fmt.Errorf("%s: is no regular file: read it as a stream (- < FILE)", w.path)
	}
	w.dir = info.IsDir()
	r.watch = w
	if _, err := r.scan(); err != nil {
		return errors.Join(err, r.Close())
	}
	// What never will be a capture is said at once; what is shorter than a header may become one.
	if f, bad := w.failed[filepath.Base(w.path)]; bad && !w.dir && f.size >= pcapHeader && !errors.Is(f.err, errNoRecord) && len(r.sources) == 0 {
		return errors.Join(f.err, r.Close())
	}
	return nil
}

// Finish takes what is there for the end of what is followed: Read returns io.EOF behind it.
func (r *Reader) Finish() {
	if r.watch == nil {
		return
	}
	if _, err := r.scan(); err != nil && r.err == nil {
		r.err = err
	}
	r.overlooked = append(r.overlooked, r.watch.warnings()...)
	r.missed = r.watch.misses()
	if r.watch.live != nil {
		r.watch.live.live = false
	}
	r.watch = nil
}

// lookAgain is called where nothing is left to read. It tells whether there is more now.
func (r *Reader) lookAgain() (bool, error) {
	before := r.watch.live
	added, err := r.scan()
	return added || r.watch.live != before, err
}

// waiting is what Read returns with n segments where nothing more has come.
func (r *Reader) waiting(n int) error {
	if n > 0 || len(r.notes) > 0 {
		return nil
	}
	return ErrWait
}

// scan takes in the files that are new, and tells whether there were any.
func (r *Reader) scan() (bool, error) {
	w := r.watch
	names := []string{filepath.Base(w.path)}
	dir := filepath.Dir(w.path)
	if w.dir {
		dir = w.path
		var err error
		if names, err = listing(w.path); err != nil {
			return false, err
		}
	}
	var fresh []*source
	infos := map[*source]fs.FileInfo{}
	for _, name := range names {
		path := w.path
		if w.dir {
			path = filepath.Join(dir, name)
		}
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			continue // removed in between, or a directory
		}
		if s := w.look(name, path, info); s != nil {
			fresh = append(fresh, s)
			infos[s] = info
		}
	}
	slices.SortStableFunc(fresh, func(a, b *source) int { return cmp.Compare(a.head, b.head) })
	for _, s := range fresh {
		if err := r.add(s); err != nil {
			return false, err
		}
		w.taken[filepath.Base(s.name)] = &member{source: s, info: infos[s], head: s.head}
		if s.head < w.newest {
			continue
		}
		if w.live != nil {
			w.live.live = false
		}
		w.live, w.newest, s.live = s, s.head, true
	}
	return len(fresh) > 0, nil
}

// look returns a source for a file if it holds a capture that was not taken yet.
func (w *watch) look(name, path string, info fs.FileInfo) *source {
	m := w.taken[name]
	if m == nil && w.packedTwin(name) {
		return nil
	}
	if m != nil && os.SameFile(m.info, info) && m.unchanged(info) {
		return nil
	}
	if f, ok := w.failed[name]; ok && f.size == info.Size() && f.mod.Equal(info.ModTime()) {
		return nil
	}
	s, err := probe(path, 0)
	switch {
	case err == nil && s.text != nil:
		err = errors.Join(errors.New("a text, which cannot be followed"), s.close())
	case err == nil && m != nil && s.head == m.head:
		// The capture that was taken, longer than when it was taken for finished, or under
		// its name again.
		if m.over && info.Size() > m.read && !m.grown {
			m.grown = true
			w.grown.add(path)
		}
		m.info = info
		if m.over {
			m.read = info.Size()
		}
		return nil
	}
	if err != nil {
		w.failed[name] = failure{info.Size(), info.ModTime(), err}
		return nil
	}
	delete(w.failed, name)
	if m != nil && !m.over {
		// Another capture has its name now. One that is open and was only renamed or
		// removed is read to its end; else what was not read of it is gone.
		switch {
		case m.source.asleep:
			m.source.void = true
		case os.SameFile(m.info, info):
			w.vanished.add(path)
			m.source.overwritten()
		}
		m.source.live = false
	}
	return s.sleeping(0)
}

// unchanged tells whether a file is as it was, but that one that is open may have grown.
func (m *member) unchanged(info fs.FileInfo) bool {
	switch {
	case m.over:
		return info.Size() == m.read && info.ModTime().Equal(m.info.ModTime())
	case m.source.asleep:
		return info.Size() == m.info.Size() && info.ModTime().Equal(m.info.ModTime())
	}
	return info.Size() >= m.source.device.read.Load()
}

// overwritten ends a source whose file was cut and written anew: its next bytes belong to
// another capture.
func (s *source) overwritten() {
	s.live, s.eof, s.end, s.discard = false, true, s.pos, 0
}

// packedTwin tells whether a file is the packed form of one that was taken (tcpdump -z gzip).
func (w *watch) packedTwin(name string) bool {
	for _, ending := range []string{".gz", ".zst"} {
		if plain, ok := strings.CutSuffix(name, ending); ok && w.taken[plain] != nil {
			return true
		}
	}
	return false
}

// ended notes that a source was read to its end. w may be nil.
func (w *watch) ended(s *source) {
	if w == nil {
		return
	}
	if w.live == s {
		w.live = nil
	}
	if m := w.taken[filepath.Base(s.name)]; m != nil && m.source == s {
		// A decompressor may leave the last bytes unread.
		m.over, m.read, m.grown = true, max(s.device.read.Load(), m.info.Size()), s.broken != ""
	}
}

// gone notes that a file was removed, or changed, before its time came.
func (w *watch) gone(s *source, _ error) {
	w.ended(s)
	w.vanished.add(s.name)
}

// misses tells whether something of what is followed was not read. w may be nil.
func (w *watch) misses() bool { return w != nil && w.grown.count+w.vanished.count > 0 }

// warnings words what was not read. w may be nil.
func (w *watch) warnings() []Warning {
	if w == nil {
		return nil
	}
	var out []Warning
	if n := w.grown.count; n > 0 {
		out = append(out, Warning{Code: "file-grew-late", Says: fmt.Sprintf("%s grew after a later file had begun (%s did); what was added was not read: follow files that are written at the same time in directories of their own.", w.grown.first, count(n, "file"))})
	}
	if n := w.vanished.count; n > 0 {
		out = append(out, Warning{Code: "file-gone", Says: fmt.Sprintf("%s was removed or overwritten before it was read (%s was): what they held is missing.", w.vanished.first, count(n, "file"))})
	}
	var others []passedOver
	for name, f := range w.failed {
		if w.dir && f.size > 0 && !errors.Is(f.err, errNoRecord) {
			others = append(others, passedOver{name, f.err})
		}
	}
	if len(others) > 0 {
		slices.SortFunc(others, func(a, b passedOver) int { return strings.Compare(a.name, b.name) })
		out = append(out, overlooked(w.path, others))
	}
	return out
}
