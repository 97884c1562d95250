package kernel

// Behaviour is one thing that some kernels do and others do not. Where a
// boundary lies between two versions that were read, those between answer
// unknown: a remembered boundary is never used.
type Behaviour struct {
	ID   string
	Says string // completes "this kernel …"
	From string // where it was read, or how it was measured
	// First is the answer for 2.6.32; Changes follow in order of version.
	First   Answer
	Changes []Change
	// The distributions' kernels are read on their own; Unknown: not read.
	RHEL6, RHEL7, RHEL8 Answer
}

// Change is where a behaviour changes: Before is the last version seen without
// the change, After the first one seen with it.
type Change struct {
	Before, After Version
	To            Answer
}

// Has tells whether a kernel of this profile behaves so.
func (p *Profile) Has(b *Behaviour) Reading {
	a, format := p.has(b)
	p.watch.note(b, a)
	r := Reading{Answer: a, format: format}
	if p.Vendor != AnyVendor {
		r.kind, r.profile, r.behaviour = wordsOfHas, p, b
	}
	if a == Unknown {
		r.Missing = FactKernel
	}
	return r
}

// has gives the answer, and the words for profile and behaviour.
func (p *Profile) has(b *Behaviour) (Answer, string) {
	say := func(a Answer) (Answer, string) {
		return a, [...]string{"it was not read whether kernel %s %s", "kernel %s is not one that %s", "kernel %s %s"}[a]
	}
	switch p.Vendor {
	case AnyVendor:
		return Unknown, "the kernel is not known"
	case RHEL6:
		return say(b.RHEL6)
	case RHEL7:
		return say(b.RHEL7)
	case RHEL8:
		return say(b.RHEL8)
	case Mainline:
	}
	lo, hi := p.span()
	a := b.at(lo)
	if lo != hi && (b.at(hi) != a || b.changesWithin(lo, hi)) {
		return Unknown, "within the series %s it changes whether a kernel %s"
	}
	if p.Backports && b.changesAfter(hi) {
		return Unknown, "the vendor of %s may have back-ported the change by which a kernel %s"
	}
	return say(a)
}

// Watch collects what a profile was asked. Two profiles that answer all of it alike come
// to the same result, so that a question need not be put to both.
type Watch struct{ Asked []Consulted }

// Consulted is a behaviour that was asked for, and the answer.
type Consulted struct {
	Behaviour *Behaviour
	Answer    Answer
}

// Watched returns the profile with a watch on it; w is emptied. Only who asks it then may
// see it: to == it is another profile.
func (p Profile) Watched(w *Watch) Profile {
	w.Asked = w.Asked[:0]
	p.watch = w
	return p
}

// note is called for every answer; nil watches nothing.
func (w *Watch) note(b *Behaviour, a Answer) {
	if w == nil {
		return
	}
	for i := range w.Asked {
		if w.Asked[i].Behaviour == b {
			return
		}
	}
	w.Asked = append(w.Asked, Consulted{b, a})
}

// at gives the answer for one exact version of mainline or stable.
func (b *Behaviour) at(v Version) Answer {
	a := b.First
	for i := range b.Changes {
		c := &b.Changes[i]
		if v.Compare(c.After) >= 0 {
			a = c.To
			continue
		}
		if v.Compare(c.Before) > 0 {
			return Unknown
		}
		break
	}
	return a
}

// changesWithin tells whether a change may lie between two versions of one
// series: behind lo or after it, and not beyond hi.
func (b *Behaviour) changesWithin(lo, hi Version) bool {
	for _, c := range b.Changes {
		if lo.Compare(c.Before) <= 0 && c.Before.Compare(hi) < 0 {
			return true
		}
	}
	return false
}

// changesAfter tells whether the answer changed after the version.
func (b *Behaviour) changesAfter(v Version) bool {
	now := b.at(v)
	for _, c := range b.Changes {
		if c.After.Compare(v) > 0 && c.To != now {
			return true
		}
	}
	return false
}
