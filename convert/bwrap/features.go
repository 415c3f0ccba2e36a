package bwrap

import (
	"bufio"
	"slices"
	"strings"
)

// Features is what bubblewrap and the host can do, found by asking and by
// trying. The zero value is a bubblewrap with no optional ability.
type Features struct {
	// Options are the long options that `bwrap --help` lists, sorted, without
	// their dashes.
	Options []string `json:"options"`

	// Stage says that the runner can have a mount namespace of its own in
	// which it prepares directories before bubblewrap starts.
	Stage bool `json:"stage"`

	// StageOverlay says that overlayfs can be mounted there.
	StageOverlay bool `json:"stageOverlay"`

	// FuseOverlay is the absolute path of a fuse-overlayfs that can be used
	// there, "" where there is none.
	FuseOverlay string `json:"fuseOverlay,omitempty"`

	// Overlay says that bubblewrap's own overlay options work here.
	Overlay bool `json:"overlay"`

	// Reason tells why Stage is false, as the kernel put it.
	Reason string `json:"reason,omitempty"`
}

// Has reports whether bubblewrap knows the option, named without dashes.
func (f Features) Has(option string) bool {
	_, ok := slices.BinarySearch(f.Options, option)
	return ok
}

// CanOverlay reports whether an Overlay can be made at all.
func (f Features) CanOverlay() bool {
	return f.StageOverlay || f.Overlay || f.Stage && f.FuseOverlay != ""
}

// ParseHelp reads the long options out of what `bwrap --help` prints.
func ParseHelp(help string) []string {
	var options []string
	lines := bufio.NewScanner(strings.NewReader(help))
	for lines.Scan() {
		name, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "--")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		options = append(options, name)
	}
	slices.Sort(options)
	return slices.Compact(options)
}
