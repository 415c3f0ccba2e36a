package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/oci2bwrap/oci2bwrap/runner"
)

func newDoctorCmd(std stdio) *cobra.Command {
	var f imageFlags
	var format string
	var entered bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this host can do, and the smallest remedy for what it can't",
		Long: `doctor tries what sandboxes are made of, as the caller, and tells of each
whether it is ok, limited or missing, what that costs, and the smallest remedy.
Nothing is changed.

  --format text   for people
  --format json   for programs; "version" rises when a field changes its meaning

Exit status: 0 when run works, 1 when it can't; 125 with a message when doctor
itself failed.`,
		Example: `  oci2bwrap doctor
  oci2bwrap doctor --format json | jq -r '.checks[] | select(.state != "ok") | .remedy'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if entered {
				return nil
			}
			return runDoctor(cmd.Context(), &f, std, format)
		},
	}
	cmd.Flags().StringVar(&f.cacheDir, "cache-dir", "", "`directory` for unpacked images (default: $XDG_CACHE_HOME/oci2bwrap)")
	cmd.Flags().StringVar(&format, "format", "text", "`text` or json")
	cmd.Flags().BoolVar(&entered, enteredFlag, false, "")
	cmd.Flags().Lookup(enteredFlag).Hidden = true
	return cmd
}

// enteredFlag has doctor do nothing: it is what a user namespace made for a
// trial runs.
const enteredFlag = "entered"

func runDoctor(ctx context.Context, f *imageFlags, std stdio, format string) error {
	write, ok := map[string]func(stdio, doctorDoc) error{"text": doctorText, "json": doctorJSON}[format]
	if !ok {
		return fmt.Errorf("--format: %q is not supported (has: text, json)", format)
	}
	doc := doctorDoc{Version: 1}
	dir, cache := checkCache(f)
	stage, err := os.MkdirTemp(dir, ".doctor-") // "" is the system's
	if err != nil {
		return fmt.Errorf("a directory to try mounts on: %w", err)
	}
	defer os.Remove(stage)
	standing, err := here(std.inside, false)
	if err != nil {
		return err
	}
	doc.Checks = runner.Checkup{Path: os.Getenv("PATH"), StageDir: stage, Real: standing.root, Mapped: standing.confined}.Checks(ctx)
	doc.Checks = append(doc.Checks, checkSubordinate(standing), cache)
	doc.Run = !slices.ContainsFunc(doc.Checks, func(c runner.Check) bool { return c.Fatal })
	if err := write(std, doc); err != nil {
		return err
	}
	if !doc.Run {
		return exitStatus(1)
	}
	return nil
}

// doctorDoc is what doctor says, for programs. Names of checks stay; there may
// be new ones.
type doctorDoc struct {
	Version int            `json:"version"`
	Run     bool           `json:"run"` // whether run works
	Checks  []runner.Check `json:"checks"`
}

func doctorJSON(std stdio, doc doctorDoc) error { return writeJSON(std.out, doc) }

func doctorText(std stdio, doc doctorDoc) error {
	w := bufio.NewWriter(std.out)
	for _, c := range doc.Checks {
		fmt.Fprintf(w, "%-8s %-16s %s\n", c.State, c.Name, printable(c.Found))
		for _, more := range [][2]string{{"cost", c.Cost}, {"remedy", c.Remedy}} {
			if more[1] != "" {
				fmt.Fprintf(w, "%26s%s: %s\n", "", more[0], printable(more[1]))
			}
		}
	}
	fmt.Fprintln(w, map[bool]string{true: "\nrun works", false: "\nrun does not work"}[doc.Run])
	return w.Flush()
}

// checkCache looks at the place for unpacked images. dir is it, where it can
// be written to.
func checkCache(f *imageFlags) (dir string, check runner.Check) {
	check = runner.Check{Name: "cache", State: runner.Limited, Cost: "run and plan need --no-cache, and unpack the image each time", Remedy: "name a directory that can be written to with --cache-dir"}
	dir, err := f.dir()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".doctor-"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	if err != nil {
		check.Found = err.Error()
		return "", check
	}
	kind, remote := fileSystem(dir)
	check.Found = dir + kind
	if remote {
		check.Cost, check.Remedy = "locks and owners may not work there, and an overlay may refuse it", "name a directory on a local disk with --cache-dir"
		return dir, check
	}
	return dir, runner.Check{Name: "cache", State: runner.OK, Found: check.Found}
}

// checkSubordinate makes a user namespace of all ids that the caller has.
func checkSubordinate(by standing) runner.Check {
	check := runner.Check{Name: "subordinate-ids", State: runner.OK}
	if os.Geteuid() == 0 {
		check.Found = "root needs none"
		if by.confined {
			check.Found = "those of this user namespace"
		}
		return check
	}
	check.State = runner.Limited
	check.Cost = "a sandbox has one id: images whose entrypoint changes owners or drops to another user fail"
	m, err := subordinate(false)
	if err == nil {
		total := 0
		for _, e := range m.UIDs {
			total += e.Size
		}
		check.Found = fmt.Sprintf("%d ids by newuidmap and newgidmap", total)
		var child *runner.Entered
		if child, err = (runner.Entry{Map: *m, Args: []string{"doctor", "--" + enteredFlag}, Path: os.Getenv("PATH")}).Enter(); err == nil {
			err = child.Begin()
		}
		if err == nil {
			var status int
			if status, err = child.Supervise(nil); err == nil && status != 0 {
				err = fmt.Errorf("the process in a namespace of them ended with status %d", status)
			}
		}
	}
	if err == nil {
		check.State, check.Cost = runner.OK, ""
		return check
	}
	check.Found = strings.ReplaceAll(err.Error(), "\n", "; ")
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		check.Remedy = hint.Hint()
	}
	return check
}
