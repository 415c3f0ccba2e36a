package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newRootCmd(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "oci2bwrap",
		Short: "Run an OCI image as a bubblewrap sandbox",
		Long: `oci2bwrap reads an OCI image and runs it in a bubblewrap sandbox that shows
the command what a container of the same image would: no engine, no daemon,
no root.

IMAGE is a path, recognised by its content:
  DIR[:TAG]                  an OCI image layout                 (oci:)
  FILE.tar[.gz|.zst][:REF]   an OCI or docker archive            (oci-archive:, docker-archive:)
  -                          such an archive on stdin; with a REF: -- -:REF
  DIR                        what skopeo's dir: transport wrote  (dir:)
  DIR                        unpacked: config.json beside rootfs/ or layers/   (layers:)
  DIR                        an OCI runtime bundle               (bundle:)
  FILE.json                  nix2container's image JSON          (nix:)
  rootfs:DIR                 a root directory, with --config FILE for its image config`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noCommand,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if std.inside == nil {
				return nil
			}
			return std.inside.Await() // the flags are read while the ids are mapped
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(std.err)
			if err := cmd.Help(); err != nil {
				return err
			}
			return errors.New("no command given")
		},
	}
	cmd.SetFlagErrorFunc(flagError)
	for _, c := range commands {
		// Flags take time to set up, and a start has none to lose: where one
		// command is named, it is the only one.
		if len(std.args) == 0 || !named(std.args[0]) || std.args[0] == c.name {
			cmd.AddCommand(c.make(std))
		}
	}
	return cmd
}

// commands are the constructors, each by the name of its command.
var commands = [...]struct {
	name string
	make func(stdio) *cobra.Command
}{
	{"run", newRunCmd}, {"exec", newExecCmd}, {"plan", newPlanCmd}, {"spec", newSpecCmd}, {"unpack", newUnpackCmd},
	{"export", newExportCmd}, {"inspect", newInspectCmd}, {"cache", newCacheCmd}, {"doctor", newDoctorCmd},
	{"parity", newParityCmd}, {"version", newVersionCmd},
}

func named(arg string) bool {
	for _, c := range commands {
		if c.name == arg {
			return true
		}
	}
	return false
}

// hinted is an error with a remedy.
type hinted struct {
	error
	hint string
}

func (e *hinted) Hint() string  { return e.hint }
func (e *hinted) Unwrap() error { return e.error }
