package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

func newPlanCmd(std stdio) *cobra.Command {
	var f containerFlags
	var format string
	cmd := &cobra.Command{
		Use:   "plan [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Show what run would do",
		Long: `plan prints what run, with the same flags, would make: the process, what is
mounted where and why, and the gaps.

  --format text   for people
  --format json   the whole plan; "version" rises when a field changes its meaning
  --format argv   the plan in bubblewrap's words, one option a line, for reading:
                  run mounts some of it itself, also where bubblewrap could not

Exit status: 0, or 125 with a message.`,
		Example: `  oci2bwrap plan ./image-dir
  oci2bwrap plan --format json --network none ./image-dir | jq .mounts`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := f.parse(cmd, args)
			if err != nil {
				return err
			}
			return runPlan(cmd.Context(), &f, std, format, a)
		},
	}
	f.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&format, "format", "text", "`text`, json or argv")
	return cmd
}

func runPlan(ctx context.Context, f *containerFlags, std stdio, format string, a imageArgs) error {
	if err := f.check(); err != nil {
		return err
	}
	write, ok := map[string]func(*session, stdio) error{"text": planText, "json": planJSON, "argv": planArgv}[format]
	if !ok {
		return fmt.Errorf("--format: %q is not supported (has: text, json, argv)", format)
	}
	s, err := newSession(f, std)
	if err != nil {
		return err
	}
	defer s.close()
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

func planJSON(s *session, std stdio) error {
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
	return writeJSON(std.out, doc)
}
