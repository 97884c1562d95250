//go:build linux

package main

// packet is what the table needs of a decoded packet. The endpoints stand in
// canonical order; dir tells which one sent it.
type packet struct {
	hash, ts       uint64
	a6, b6         [2]uint64
	a, b           uint32
	seq, ack, plen uint32
	pa, pb         uint16
	flags          uint8
	dir            uint8
	v6             bool
}

// decode reads the headers of a packet; false where it is no TCP.
func (x *packet) decode(p []byte) bool {
	if len(p) < 54 {
		return false
	}
	switch le.Uint16(p[12:]) {
	case 0x0008:
		return x.decodeIPv4(p)
	case 0xdd86:
		return x.decodeIPv6(p)
	}
	return false
}

func (x *packet) decodeIPv4(p []byte) bool {
	ihl := int(p[14]&15) * 4
	if p[23] != 6 || 14+ihl+20 > len(p) || le.Uint16(p[20:])&0xff1f != 0 {
		return false
	}
	t := p[14+ihl : 14+ihl+20]
	a, b := le.Uint32(p[26:]), le.Uint32(p[30:])
	pa, pb := le.Uint16(t), le.Uint16(t[2:])
	x.dir = 0
	if a > b || a == b && pa > pb {
		a, b, pa, pb = b, a, pb, pa
		x.dir = 1
	}
	x.a, x.b, x.pa, x.pb = a, b, pa, pb
	x.v6 = false
	x.hash = hash4(a, b, pa, pb)
	x.seq, x.ack = be.Uint32(t[4:]), be.Uint32(t[8:])
	x.plen = uint32(be.Uint16(p[16:])) - uint32(ihl) - uint32(t[12]>>4)*4
	x.flags = t[13]
	return true
}

func (x *packet) decodeIPv6(p []byte) bool {
	if p[20] != 6 || len(p) < 74 {
		return false
	}
	t := p[54:74]
	a := [2]uint64{le.Uint64(p[22:]), le.Uint64(p[30:])}
	b := [2]uint64{le.Uint64(p[38:]), le.Uint64(p[46:])}
	pa, pb := le.Uint16(t), le.Uint16(t[2:])
	x.dir = 0
	if a[0] > b[0] || a[0] == b[0] && (a[1] > b[1] || a[1] == b[1] && pa > pb) {
		a, b, pa, pb = b, a, pb, pa
		x.dir = 1
	}
	x.a6, x.b6, x.pa, x.pb = a, b, pa, pb
	x.v6 = true
	x.hash = hash6(&x.a6, &x.b6, pa, pb)
	x.seq, x.ack = be.Uint32(t[4:]), be.Uint32(t[8:])
	x.plen = uint32(be.Uint16(p[18:])) - uint32(t[12]>>4)*4
	x.flags = t[13]
	return true
}
