//go:build !linux

package pages

// adviseLarge does nothing: only Linux takes the advice.
func adviseLarge([]byte) {}
