package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// limitFlags raise, or lower, what an image may cost.
type limitFlags struct {
	maxEntries int64
	maxRatio   int64
	maxSize    string
	maxJSON    string
}

func (f *limitFlags) AddFlags(fs *pflag.FlagSet) {
	fs.Int64Var(&f.maxEntries, "max-entries", 0, "`number` of files and other entries of all layers (default: 10000000)")
	fs.Int64Var(&f.maxRatio, "max-ratio", 0, "`times` its stored size that a layer may unpack to, above 1 GiB (default: 200)")
	fs.StringVar(&f.maxSize, "max-size", "", "`bytes` that all layers may unpack to (default: 256G; sparse files: 64G)")
	fs.StringVar(&f.maxJSON, "max-json", "", "`bytes` of one document of an image (default: 4M)")
}

// limits gives the limits, zero for those without a flag.
func (f *limitFlags) limits() (l layout.Limits, err error) {
	for _, n := range []struct {
		flag  string
		value int64
	}{{"--max-entries", f.maxEntries}, {"--max-ratio", f.maxRatio}} {
		if n.value < 0 {
			return l, fmt.Errorf("%s: %d is negative", n.flag, n.value)
		}
	}
	l.Entries, l.Ratio = f.maxEntries, f.maxRatio
	if l.Size, err = parseBytes(f.maxSize); err != nil {
		return l, fmt.Errorf("--max-size: %w", err)
	}
	l.Sparse = l.Size
	if l.JSON, err = parseBytes(f.maxJSON); err != nil {
		return l, fmt.Errorf("--max-json: %w", err)
	}
	return l, nil
}
