//go:build unix

package main

import (
	"errors"
	"os"
)

// syncDir makes a renaming in a directory last over a crash of the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
