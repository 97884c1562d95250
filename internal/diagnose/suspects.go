package diagnose

import (
	"fmt"
	"math/bits"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// suspect is a kernel that a host may run, and what speaks against it in
// decibans.
type suspect struct {
	kernel.Profile
	against int
}

// set is a choice among the suspects, a bit for each by its index.
type set uint64

// kernels are the kernels that a host may run. Findings whose hosts give the same signs
// share one.
type kernels struct {
	e        *Engine
	suspects []suspect
	// alike groups the suspects by their index that the model cannot tell apart.
	alike [][]int
	// best is what the signs say against the suspect that they like best.
	best  int
	words map[set]*kernelWords
	// spare is the watch that each used last, while it is not in use.
	spare *kernel.Watch
}

// kernelWords names a set of suspects.
type kernelWords struct {
	words   string
	against int            // what the signs say against the best of them
	liked   kernel.Profile // the first of those that they like best
}

// signs is what tells one choice of suspects from another.
type signs [maxHints]sign

// suspected returns the kernels that a host may run: the one that was given, else all,
// weighed by the signs.
func (e *Engine) suspected(given kernel.Profile, hints []hint) *kernels {
	if given.Known() {
		return e.weighed([]kernel.Profile{given}, [][]int{{0}}, hints)
	}
	var key signs
	for i, h := range hints {
		key[i] = h.sign
	}
	k := e.suspects[key]
	if k == nil {
		k = e.weighed(e.candidates, e.alike, hints)
		if e.suspects == nil {
			e.suspects = map[signs]*kernels{}
		}
		e.suspects[key] = k
	}
	return k
}

func (e *Engine) weighed(profiles []kernel.Profile, alike [][]int, hints []hint) *kernels {
	k := &kernels{e: e, suspects: make([]suspect, len(profiles)), alike: alike, words: map[set]*kernelWords{}}
	for i, p := range profiles {
		k.suspects[i].Profile = p
		for _, h := range hints {
			k.suspects[i].against += h.against(&p)
		}
	}
	k.best = k.leastAgainst(k.all())
	return k
}

// all is every suspect.
func (k *kernels) all() set {
	if k == nil {
		return 0
	}
	return 1<<len(k.suspects) - 1
}

// first returns the first of a set that is not empty.
func (s set) first() int { return bits.TrailingZeros64(uint64(s)) }

func (s set) size() int { return bits.OnesCount64(uint64(s)) }

// leastAgainst is what the signs say against the best of a set; -1 where it is empty.
func (k *kernels) leastAgainst(s set) int {
	best := -1
	for ; s != 0; s &= s - 1 {
		if a := k.suspects[s.first()].against; best < 0 || a < best {
			best = a
		}
	}
	return best
}

// each puts a question to the suspects, and returns those for which it is answered with
// yes. It is asked of one of those that answer alike whatever the model asked them on the
// way to the answer, the first of them: six are asked where there are forty. What ask
// remembers must not depend on how many there are.
func (k *kernels) each(ask func(kernel.Profile) bool) set {
	var yes set
	w := k.spare
	if w == nil {
		w = &kernel.Watch{}
	}
	k.spare = nil // ask may put another question to each
	for left := k.all(); left != 0; {
		i := left.first()
		ok := ask(k.suspects[i].Profile.Watched(w))
		same := left
		for _, x := range w.Asked {
			same &= k.answering(x)
		}
		same |= 1 << i
		if ok {
			yes |= same
		}
		left &^= same
	}
	k.spare = w
	return yes
}

// answering are the suspects that answer alike.
func (k *kernels) answering(x kernel.Consulted) set {
	if len(k.suspects) == 1 {
		return 1 // a kernel that was given
	}
	s, ok := k.e.answers[x]
	if !ok {
		for i := range k.suspects {
			if k.suspects[i].Has(x.Behaviour).Answer == x.Answer {
				s |= 1 << i
			}
		}
		if k.e.answers == nil {
			k.e.answers = map[kernel.Consulted]set{}
		}
		k.e.answers[x] = s
	}
	return s
}

// under asks of every suspected kernel whether a story fits with it, as each does. It
// returns those with which it does, and what the hints say against the best of them in
// comparison with the best kernel of all.
func (k *kernels) under(fits func(kernel.Profile) bool) (fit []kernel.Profile, against int) {
	s := k.each(fits)
	return k.profiles(s), k.weight(s)
}

// underEach is under for a question whose asker remembers the last answer: all kernels are
// asked that the model can tell apart at all.
func (k *kernels) underEach(fits func(kernel.Profile) bool) (fit []kernel.Profile, against int) {
	var s set
	for _, g := range k.alike {
		if !fits(k.suspects[g[0]].Profile) {
			continue
		}
		for _, i := range g {
			s |= 1 << i
		}
	}
	return k.profiles(s), k.weight(s)
}

// weight is what the hints say against the best of a set, in comparison with the best of
// all.
func (k *kernels) weight(s set) int { return max(k.leastAgainst(s)-k.best, 0) }

// profiles lists a set, oldest first. The list is shared: it is not to be changed.
func (k *kernels) profiles(s set) []kernel.Profile {
	if s == 0 {
		return nil
	}
	if len(k.suspects) == 1 {
		return []kernel.Profile{k.suspects[0].Profile}
	}
	list, ok := k.e.lists[s]
	if !ok {
		list = make([]kernel.Profile, 0, s.size())
		for left := s; left != 0; left &= left - 1 {
			list = append(list, k.suspects[left.first()].Profile)
		}
		if k.e.lists == nil {
			k.e.lists, k.e.listed = map[set][]kernel.Profile{}, map[*kernel.Profile]set{}
		}
		k.e.lists[s], k.e.listed[&list[0]] = list, s
	}
	return list
}

// setOf is the set that a list of profiles stands for.
func (k *kernels) setOf(list []kernel.Profile) set {
	if len(list) == 0 {
		return 0
	}
	if s, ok := k.e.listed[&list[0]]; ok && s.size() == len(list) {
		return s
	}
	var s set
	for i := range k.suspects {
		for j := range list {
			if list[j] == k.suspects[i].Profile {
				s |= 1 << i
			}
		}
	}
	return s
}

// likeliest returns the profile that the hints like best, of a list, or of all where it is
// empty.
func (k *kernels) likeliest(list []kernel.Profile) kernel.Profile {
	s := k.all()
	if len(list) > 0 {
		s = k.setOf(list)
	}
	var out kernel.Profile
	best := -1
	for ; s != 0; s &= s - 1 {
		if x := &k.suspects[s.first()]; best < 0 || x.against < best {
			best, out = x.against, x.Profile
		}
	}
	return out
}

// bestOf returns the suspect of a group that the signs like best, the newest of equals.
func (k *kernels) bestOf(group []int) suspect {
	out := k.suspects[group[0]]
	for _, i := range group[1:] {
		if k.suspects[i].against <= out.against {
			out = k.suspects[i]
		}
	}
	return out
}

// wordsOf names a set that is not empty: those that the signs like best, and the others.
func (k *kernels) wordsOf(s set) *kernelWords {
	if w, ok := k.words[s]; ok {
		return w
	}
	w := &kernelWords{against: k.leastAgainst(s)}
	var liked set
	for left := s; left != 0; left &= left - 1 {
		if i := left.first(); k.suspects[i].against == w.against {
			liked |= 1 << i
		}
	}
	w.liked = k.suspects[liked.first()].Profile
	w.words = kernel.Words(k.profiles(liked))
	if liked != s {
		w.words += " (by the signs of its age in the capture; else " + kernel.Words(k.profiles(s)) + ")"
	}
	k.words[s] = w
	return w
}

// keepers tells in words which candidates keep the ISN that TIME_WAIT chooses; lose are
// those that lose it.
type keepers struct {
	lose string
	// worth is what another ISN than that is worth where the kernel is not known.
	worth string
}

// keepersOf words them for a family.
func (e *Engine) keepersOf(ipv6 bool) *keepers {
	i := 0
	if ipv6 {
		i = 1
	}
	if e.keepers[i] == nil {
		b := keepsISN(ipv6)
		var keep, lose []kernel.Profile
		for _, p := range e.candidates {
			switch p.Has(b).Answer {
			case kernel.Yes:
				keep = append(keep, p)
			case kernel.No:
				lose = append(lose, p)
			case kernel.Unknown:
			}
		}
		k := &keepers{lose: kernel.Words(lose)}
		k.worth = fmt.Sprintf("on kernels that keep the ISN (%s) the SYN was not accepted in TIME_WAIT; on those that lose it (%s) the ISN proves nothing; of the versions between it is not known", kernel.Words(keep), k.lose)
		e.keepers[i] = k
	}
	return e.keepers[i]
}

// keepsISN is the behaviour that decides, by family.
func keepsISN(ipv6 bool) *kernel.Behaviour {
	if ipv6 {
		return &kernel.KeepsISN6
	}
	return &kernel.KeepsISN
}
