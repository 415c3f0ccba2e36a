package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newSpecCmd(std stdio) *cobra.Command {
	var f containerFlags
	cmd := &cobra.Command{
		Use:   "spec [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Print the image's runtime-spec config.json",
		Long: `spec converts the image config, with the flags of run applied, to the
config.json of an OCI runtime bundle and prints it. Its root.path is "rootfs";
unpack writes a whole bundle.

Exit status: 0, or 125 with a message.`,
		Example: `  oci2bwrap spec ./image-dir
  oci2bwrap spec -e DEBUG=1 ./image-dir /bin/sh > bundle/config.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := f.parse(cmd, args)
			if err != nil {
				return err
			}
			return runSpec(cmd.Context(), &f, std, a)
		},
	}
	f.AddFlags(cmd.Flags())
	return cmd
}

func runSpec(ctx context.Context, f *containerFlags, std stdio, a imageArgs) error {
	if err := f.check(); err != nil {
		return err
	}
	s, err := newSession(f, std, imageArgs{})
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
	if !f.quiet {
		printNotes(std.err, elsewhere(s.result))
		if files := slices.Sorted(maps.Keys(s.result.Files)); len(files) > 0 {
			fmt.Fprintf(std.err, "oci2bwrap: note: mounts: the bundle has to hold %s\n", strings.Join(files, ", "))
		}
	}
	doc, err := json.MarshalIndent(s.result.Spec, "", "\t")
	if err != nil {
		return err
	}
	_, err = std.out.Write(append(doc, '\n'))
	return err
}
