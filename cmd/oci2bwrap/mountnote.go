package main

import (
	"fmt"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// mountNote tells of what is mounted in a directory of the caller's that is the
// root by an overlay, which does not show it.
func (s *session) mountNote() {
	planned := map[string]bool{}
	for _, step := range s.planned.Plan.Steps {
		planned[step.Op.Dest()] = true
	}
	for _, step := range s.planned.Plan.Steps {
		root, ok := step.Op.(bwrap.Overlay)
		if !ok || root.Dst != "/" {
			continue
		}
		for _, dir := range root.Lower {
			if strings.HasPrefix(dir, s.cache+"/") {
				continue // nobody mounts there
			}
			if below := runner.MountBelow(dir); below != "" && !planned[strings.TrimPrefix(below, dir)] {
				s.planned.Notes = append(s.planned.Notes, convert.Note{
					Field: "root.path", Text: fmt.Sprintf("%q is mounted in it and does not show in the sandbox: -v shows it", below),
				})
			}
		}
	}
}
