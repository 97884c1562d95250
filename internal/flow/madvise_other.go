//go:build !linux

package flow

// adviseHuge does nothing: only Linux takes the advice.
func adviseHuge([]byte) {}
