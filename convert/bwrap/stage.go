package bwrap

import (
	"path"
	"strconv"
)

// Stage is what has to be mounted before bubblewrap starts, in a mount
// namespace of the runner's: a tmpfs over Dir, and below it one tree for each
// of Trees, at Path(i). Everything in it vanishes with the namespace.
type Stage struct {
	Dir   string `json:"dir"`
	Trees []Tree `json:"trees"`
}

// Tree is one directory of a Stage: exactly one of its members is set.
type Tree struct {
	Overlay *Overlay `json:"overlay,omitempty"`
	Tmpfs   *Tmpfs   `json:"tmpfs,omitempty"`
}

// Path is where the tree of that index is mounted, on the host's side of the
// stage.
func (s *Stage) Path(tree int) string {
	return path.Join(s.Dir, strconv.Itoa(tree))
}
