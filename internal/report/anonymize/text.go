package anonymize

import (
	"net"
	"net/netip"
	"strings"
)

// Text replaces in a sentence the addresses in it, and the names that are known of
// hosts and files.
func (m *Mapping) Text(s string) string {
	if to, ok := m.files[s]; ok {
		return to // a source by itself, however short its name
	}
	for _, title := range m.titles {
		s = m.replaceWord(s, title)
	}
	return m.replaceAddrs(s)
}

// replaceWord replaces a name where it stands as a word. A file's name must look like
// one to be known within a sentence: a file called "server" would be met everywhere.
func (m *Mapping) replaceWord(s, title string) string {
	to, file := m.files[title]
	if !file {
		to = m.names[title]
	} else if !strings.ContainsAny(title, "./\\") || len(title) < 3 {
		return s
	}
	var b strings.Builder
	for from := 0; ; {
		i := strings.Index(s[from:], title)
		if i < 0 {
			if b.Len() == 0 {
				return s
			}
			b.WriteString(s[from:])
			return b.String()
		}
		at, end := from+i, from+i+len(title)
		if (at > 0 && isWord(s[at-1])) || (end < len(s) && isWord(s[end])) {
			b.WriteString(s[from:end])
		} else {
			b.WriteString(s[from:at])
			b.WriteString(to)
		}
		from = end
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// replaceAddrs replaces addresses, known or not. It looks at each stretch of the
// characters that addresses are made of.
func (m *Mapping) replaceAddrs(s string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !isAddrByte(s[i]) {
			i++
			continue
		}
		end := i
		for end < len(s) && isAddrByte(s[end]) {
			end++
		}
		if to := m.stretch(s[i:end]); to != s[i:end] {
			b.WriteString(s[done:i])
			b.WriteString(to)
			done = end
		}
		i = end
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

func isAddrByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == ':' || c == '.'
}

// stretch replaces the addresses within a stretch of hexadecimal digits, colons and dots:
// the longest address at each place where one can begin. Behind it may follow a port,
// a full stop or a colon.
func (m *Mapping) stretch(s string) string {
	if strings.Count(s, ":") < 2 && strings.Count(s, ".") < 3 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		// An address begins where a number does. The letters before a number in dots may end a word.
		if i > 0 && isHex(s[i-1]) && !(isLetter(s[i-1]) && isDigit(s[i])) {
			b.WriteByte(s[i])
			i++
			continue
		}
		n, to := m.longest(s[i:])
		if n == 0 {
			b.WriteByte(s[i])
			i++
			continue
		}
		b.WriteString(to)
		i += n
	}
	return b.String()
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isHex(c byte) bool    { return c != ':' && c != '.' }
func isLetter(c byte) bool { return isHex(c) && !isDigit(c) }

// longest finds the longest address at the beginning of a stretch, and its replacement;
// n is 0 where there is none.
func (m *Mapping) longest(s string) (n int, to string) {
	const longestAddr = 45 // of IPv6 with an IPv4 address at its end
	for n := min(len(s), longestAddr); n >= 2; n-- {
		if n < len(s) && isHex(s[n]) && isHex(s[n-1]) {
			continue // in the midst of a number
		}
		if a, err := netip.ParseAddr(s[:n]); err == nil {
			if to := m.Addr(a); to != a {
				return n, to.String()
			}
			return n, s[:n]
		}
		if n == 17 { // 12:34:56:78:9a:bc
			if a, err := net.ParseMAC(s[:n]); err == nil {
				return n, m.MAC(a).String()
			}
		}
	}
	return 0, ""
}
