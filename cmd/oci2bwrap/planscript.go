package main

import (
	"slices"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// scriptReason is why what a stage would do is not available.
const scriptReason = "a script has bubblewrap alone"

// planScript writes the plan as a shell script. What it can't have is judged
// as run judges gaps.
func planScript(s *session, std stdio) error {
	s.planned.Gaps = append(s.planned.Gaps, convert.ScriptGaps(s.planned.Plan)...)
	if err := s.judge(); err != nil {
		return err
	}
	script, err := convert.ForScript(s.planned.Plan).Script(bwrap.Script{Features: s.features, Defaults: s.defaults()})
	if err != nil {
		return err
	}
	s.tell()
	_, err = std.out.Write(script)
	return err
}

// defaults is how many of the command's arguments are the image's Cmd, which
// the arguments of a script take the place of.
func (s *session) defaults() int {
	cmd := s.image.Config.Config.Cmd
	args := s.planned.Plan.Process.Args
	if s.commanded || len(cmd) >= len(args) || !slices.Equal(args[len(args)-len(cmd):], cmd) {
		return 0
	}
	return len(cmd)
}
