package kernel

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Version is a kernel version. Patch -1 means that it is not known, so that
// any of the series may be meant.
type Version struct{ Major, Minor, Patch int }

// V returns the version major.minor.patch.
func V(major, minor, patch int) Version { return Version{major, minor, patch} }

// lastPatch is above every patch level.
const lastPatch = 1 << 20

// Compare orders versions; an unknown patch level counts as 0.
func (v Version) Compare(w Version) int {
	if v.Major != w.Major {
		return cmp.Compare(v.Major, w.Major)
	}
	if v.Minor != w.Minor {
		return cmp.Compare(v.Minor, w.Minor)
	}
	return cmp.Compare(max(v.Patch, 0), max(w.Patch, 0))
}

// String prints "4.14.5", "4.14" where the patch level is not known, and
// "2.6.32" for the old numbering.
func (v Version) String() string {
	if v.Patch < 0 || v.Patch == lastPatch {
		return fmt.Sprintf("%d.%d", v.Major, v.Minor)
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// Vendor is whose kernel it is.
type Vendor uint8

// The vendors whose kernels are profiles of their own.
const (
	AnyVendor Vendor = iota // zero: nothing is known
	Mainline                // kernel.org, mainline and stable
	RHEL6
	RHEL7
	RHEL8
)

// Profile is a kernel as far as it is known. The zero value is an unknown
// kernel.
type Profile struct {
	Vendor  Vendor
	Version Version
	// Backports: the release has some other vendor's suffix; what changed
	// after its version may have been back-ported.
	Backports bool
	// Label is what a person calls it: what uname -r printed, or a series.
	Label string
	// watch, if not nil, is told what is asked.
	watch *Watch
}

// Known tells whether anything is known of the kernel.
func (p Profile) Known() bool { return p.Vendor != AnyVendor }

// String prints the label, or the version.
func (p Profile) String() string {
	switch {
	case p.Label != "":
		return p.Label
	case !p.Known():
		return "an unknown kernel"
	case p.Vendor == RHEL6:
		return "rhel6"
	case p.Vendor == RHEL7:
		return "rhel7"
	case p.Vendor == RHEL8:
		return "rhel8"
	}
	return p.Version.String()
}

var release = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d{1,3})\.(\d{1,3})(?:\.(\d{1,5}))?(.*)$`)
})

// ParseRelease reads what uname -r prints. ".el6", ".el7" and ".el8" choose the
// profiles of those distributions; another suffix of a vendor means mainline of
// that version with later changes perhaps back-ported.
func ParseRelease(s string) (Profile, error) {
	switch s {
	case "rhel6":
		return Profile{Vendor: RHEL6, Version: V(2, 6, 32), Label: s}, nil
	case "rhel7":
		return Profile{Vendor: RHEL7, Version: V(3, 10, 0), Label: s}, nil
	case "rhel8":
		return Profile{Vendor: RHEL8, Version: V(4, 18, 0), Label: s}, nil
	}
	m := release().FindStringSubmatch(s)
	if m == nil {
		return Profile{}, fmt.Errorf("%q is not what uname -r prints (expected for example 5.10.223 or 3.10.0-1127.el7.x86_64)", s)
	}
	major, _ := strconv.Atoi(m[1]) // at most three digits: cannot fail
	minor, _ := strconv.Atoi(m[2])
	patch := -1
	if m[3] != "" {
		patch, _ = strconv.Atoi(m[3])
	}
	p := Profile{Vendor: Mainline, Version: V(major, minor, patch), Label: s}
	suffix := m[4]
	switch {
	case strings.Contains(suffix, ".el6"):
		p.Vendor = RHEL6
	case strings.Contains(suffix, ".el7"):
		p.Vendor = RHEL7
	case strings.Contains(suffix, ".el8"):
		p.Vendor = RHEL8
	case vendorSuffix(suffix):
		p.Backports = true
	}
	if p.Version.Compare(V(2, 6, 32)) < 0 {
		return Profile{}, fmt.Errorf("kernel %s is older than 2.6.32, the oldest that is modelled", s)
	}
	return p, nil
}

// vendorSuffix tells a vendor's suffix from the marks that mainline itself uses
// (-rc4, a local "+").
func vendorSuffix(s string) bool {
	s = strings.TrimSuffix(s, "+")
	return s != "" && !regexp.MustCompile(`^-rc\d+$`).MatchString(s)
}

// span returns the first and the last version that the profile may mean.
func (p *Profile) span() (lo, hi Version) {
	lo, hi = p.Version, p.Version
	if p.Version.Patch < 0 {
		lo.Patch, hi.Patch = 0, lastPatch
	}
	return lo, hi
}
