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
	say := func(a Answer) Reading {
		switch a {
		case Yes:
			return Read(Yes, "kernel %s %s", p, b.Says)
		case No:
			return Read(No, "kernel %s is not one that %s", p, b.Says)
		case Unknown:
		}
		return Missing(FactKernel, "it was not read whether kernel %s %s", p, b.Says)
	}
	switch p.Vendor {
	case AnyVendor:
		return Missing(FactKernel, "the kernel is not known")
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
	if b.at(hi) != a || b.changesWithin(lo, hi) {
		return Missing(FactKernel, "within the series %s it changes whether a kernel %s", p, b.Says)
	}
	if p.Backports && b.changesAfter(hi) {
		return Missing(FactKernel, "the vendor of %s may have back-ported the change by which a kernel %s", p, b.Says)
	}
	return say(a)
}

// at gives the answer for one exact version of mainline or stable.
func (b *Behaviour) at(v Version) Answer {
	a := b.First
	for _, c := range b.Changes {
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
