package kernel

import "strings"

// candidate is one stretch of versions that behave alike as far as is known.
type candidate struct {
	profile  Profile
	from, to string // for words: "4.17", "4.18"
}

// candidates is every kernel that an unknown host may run, oldest first. A
// stretch is represented by its last version, so that a stable series counts with
// what it had in the end, except where a series is split.
var candidates = []candidate{
	{mainline(2, 6, 32), "2.6.32", "2.6.32"},
	{mainline(3, 0, 0), "3.0", "3.0"},
	{mainline(3, 1, 0), "3.1", "3.1"},
	{mainline(3, 2, 7), "3.2", "3.2"},
	{mainline(3, 6, 0), "3.6", "3.9"},
	{mainline(3, 10, 65), "3.10", "3.12"},
	{mainline(3, 13, 0), "3.13", "3.13"},
	{mainline(3, 16, 1), "3.14", "3.16"},  // 3.16.0 alone was run
	{mainline(3, 18, 31), "3.17", "3.18"}, // 3.18.0 to 3.18.30 were read, and later ones repaired
	{mainline(3, 19, 8), "3.19", "3.19"},
	{mainline(4, 0, 0), "4.0", "4.0"},
	{mainline(4, 1, 52), "4.1", "4.3"},
	{mainline(4, 4, 156), "4.4", "4.8"}, // 4.4.0 to 4.4.155 were read, and later ones repaired
	{mainline(4, 9, 115), "early 4.9.y", "early 4.9.y"},
	{mainline(4, 9, 229), "late 4.9.y", "late 4.9.y"},
	{mainline(4, 10, 0), "4.10", "4.10"},
	{mainline(4, 11, 0), "4.11", "4.11"},
	{mainline(4, 12, 0), "4.12", "4.12"},
	{mainline(4, 13, 19), "4.13", "4.13"},
	{mainline(4, 14, 5), "early 4.14.y", "early 4.14.y"},
	{mainline(4, 14, 277), "late 4.14.y", "late 4.14.y"},
	{mainline(4, 16, 0), "4.15", "4.16"},
	{mainline(4, 17, 0), "4.17", "4.18"},
	{mainline(4, 19, 108), "4.19", "4.19"},
	{mainline(5, 0, 0), "4.20", "5.3"},
	{mainline(5, 4, 120), "5.4", "5.6"},
	{mainline(5, 7, 14), "5.7", "5.9"},
	{mainline(5, 10, 223), "5.10", "5.19"},
	{mainline(6, 1, 190), "6.0", "6.4"},
	{mainline(6, 6, 87), "6.5", "6.6"},
	{mainline(6, 9, 0), "6.7", "6.11"},
	{mainline(6, 12, 43), "early 6.12.y", "early 6.12.y"},
	{mainline(6, 12, 117), "late 6.12.y", "late 6.12.y"},
	{mainline(6, 13, 7), "6.13", "6.13"},
	{mainline(6, 14, 0), "6.14", "6.15"},
	{mainline(6, 16, 12), "6.16", "6.17"},
	{mainline(6, 18, 18), "early 6.18.y", "early 6.18.y"},
	{mainline(6, 18, 44), "late 6.18.y", "late 6.18.y"},
	{mainline(6, 19, 0), "6.19", "6.19"},
	{mainline(7, 2, 13), "7.0", "7.2"},
	{Profile{Vendor: RHEL6, Version: V(2, 6, 32)}, "rhel6", "rhel6"},
	{Profile{Vendor: RHEL7, Version: V(3, 10, 0)}, "rhel7", "rhel7"},
	{Profile{Vendor: RHEL8, Version: V(4, 18, 0)}, "rhel8", "rhel8"},
}

func mainline(major, minor, patch int) Profile {
	return Profile{Vendor: Mainline, Version: V(major, minor, patch)}
}

// Candidates returns a profile for each stretch of versions that an unknown
// host may run, oldest first, the distributions' kernels last.
func Candidates() []Profile {
	out := make([]Profile, len(candidates))
	for i, c := range candidates {
		out[i] = c.profile
	}
	return out
}

// Alike groups profiles that answer every one of the behaviours alike, by their
// indexes, in order: what asks only those needs to be asked once a group.
func Alike(profiles []Profile, by []*Behaviour) [][]int {
	var out [][]int
	at := map[string]int{}
	for i, p := range profiles {
		key := make([]byte, len(by))
		for j, b := range by {
			key[j] = byte(p.Has(b).Answer)
		}
		g, ok := at[string(key)]
		if !ok {
			g = len(out)
			at[string(key)] = g
			out = append(out, nil)
		}
		out[g] = append(out[g], i)
	}
	return out
}

// Words names a set of profiles by ranges: "up to 4.11, rhel6, rhel7".
func Words(set []Profile) string {
	in := map[Profile]bool{}
	for _, p := range set {
		in[p] = true
	}
	const mainlines = 40
	var out []string
	for i := 0; i < len(candidates); i++ {
		c := candidates[i]
		if !in[c.profile] {
			continue
		}
		delete(in, c.profile)
		if c.profile.Vendor != Mainline {
			out = append(out, c.from)
			continue
		}
		j := i
		for j+1 < mainlines && in[candidates[j+1].profile] {
			j++
			delete(in, candidates[j].profile)
		}
		out = append(out, rangeWords(i, j, mainlines-1))
		i = j
	}
	for _, p := range set { // profiles that were given, not candidates
		if in[p] {
			out = append(out, p.String())
			delete(in, p)
		}
	}
	if len(out) == 0 {
		return "no kernel"
	}
	return strings.Join(out, ", ")
}

func rangeWords(i, j, last int) string {
	from, to := candidates[i].from, candidates[j].to
	switch {
	case i == 0 && j == last:
		return "any mainline version"
	case i == 0:
		return "up to " + to
	case j == last:
		return from + " and later"
	case from == to:
		return from
	}
	return from + " to " + to
}
