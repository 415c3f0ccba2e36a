package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

func newPlanCmd(std stdio) *cobra.Command {
	var f containerFlags
	var p planFlags
	cmd := &cobra.Command{
		Use:   "plan [flags] IMAGE [COMMAND [ARG...]] | plan --diff [flags] A B",
		Short: "Show what run would do",
		Long: `plan prints what run, with the same flags, would make: the process, what is
mounted where and why, and the gaps.

  --format text   for people
  --format json   the whole plan; "version" rises when a field changes its meaning
  --format argv   the plan in bubblewrap's words, one option a line, for reading:
                  run mounts some of it itself, also where bubblewrap could not
  --format sh     a POSIX shell script that needs bubblewrap alone, and the files
                  that the plan names; its arguments take the place of the image's
                  Cmd, or follow COMMAND. What it can't do is listed as gaps, and
                  refused if it weakens isolation, as by run

With --diff A and B are two images, planned with the same flags, or files that
--format json wrote, and what differs is printed: in process, environment,
namespaces, mounts and gaps.

Exit status: 0, or 125 with a message; with --diff --exit-code 1 where the plans
differ.`,
		Example: `  oci2bwrap plan ./image-dir
  oci2bwrap plan --format json --network none ./image-dir | jq .mounts
  oci2bwrap plan --diff ./debian-12.5 ./debian-12.6`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.diff {
				if err := f.check(); err != nil {
					return err
				}
				return runPlanDiff(cmd.Context(), &f, &p, std, args)
			}
			a, err := f.parse(cmd, args)
			if err != nil {
				return err
			}
			return runPlan(cmd.Context(), &f, std, p.format, a)
		},
	}
	f.AddFlags(cmd.Flags())
	p.AddFlags(cmd.Flags())
	return cmd
}

// planFlags say how a plan is shown.
type planFlags struct {
	format   string
	diff     bool
	exitCode bool
}

func (f *planFlags) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.format, "format", "text", "`text`, json, argv or sh")
	fs.BoolVar(&f.diff, "diff", false, "compare the plans of two images, or two JSON plans")
	fs.BoolVar(&f.exitCode, "exit-code", false, "with --diff, exit with 1 where the plans differ")
}

func runPlan(ctx context.Context, f *containerFlags, std stdio, format string, a imageArgs) error {
	if err := f.check(); err != nil {
		return err
	}
	write, ok := map[string]func(*session, stdio) error{"text": planText, "json": planJSON, "argv": planArgv, "sh": planScript}[format]
	if !ok {
		return fmt.Errorf("--format: %q is not supported (has: text, json, argv, sh)", format)
	}
	if format == "sh" && !isRoot() && f.userns == "" {
		f.userns = "single" // all that bubblewrap makes by itself
	}
	f.script = format == "sh"
	s, err := newSession(f, std, a)
	if err != nil {
		return err
	}
	defer s.close()
	s.script, s.commanded = f.script, a.command != nil || f.entrypoint != ""
	if err := s.unpack(ctx, a); err != nil {
		return err
	}
	if err := s.convert(a.command); err != nil {
		return err
	}
	if err := s.plan(ctx); err != nil {
		return err
	}
	return write(s, std)
}

func planArgv(s *session, std stdio) error {
	c, err := bwrap.Lower(s.planned.Plan, bwrap.Target{Features: s.features, Reading: true})
	if err != nil {
		return err
	}
	return c.WriteArgv(std.out)
}

// planDoc is the JSON form of a plan. What is in it stays; see
// bwrap.PlanVersion.
type planDoc struct {
	*bwrap.Plan
	Image imageDoc  `json:"image"`
	Gaps  []gapDoc  `json:"gaps"`
	Notes []noteDoc `json:"notes"`
}

type imageDoc struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

type gapDoc struct {
	Field  string `json:"field"`
	Effect string `json:"effect"`
	Reason string `json:"reason"`
	Remedy string `json:"remedy,omitempty"`
}

type noteDoc struct {
	Field string `json:"field"`
	Text  string `json:"text"`
}

func planJSON(s *session, std stdio) error { return writeJSON(std.out, s.planDoc()) }

func (s *session) planDoc() planDoc {
	doc := planDoc{
		Plan: s.planned.Plan, Image: imageDoc{Name: s.image.Name, Digest: s.image.Digest.String()},
		Gaps: []gapDoc{}, Notes: []noteDoc{},
	}
	for _, g := range s.planned.Gaps {
		doc.Gaps = append(doc.Gaps, gapDoc{g.Field, string(g.Effect), g.Reason, g.Remedy})
	}
	for _, n := range s.planned.Notes {
		doc.Notes = append(doc.Notes, noteDoc(n))
	}
	return doc
}
