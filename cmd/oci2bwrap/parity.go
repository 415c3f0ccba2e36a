package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/internal/engine"
	"github.com/oci2bwrap/oci2bwrap/internal/parity"
)

// parityFlags say what the sandbox is compared with, and how that is shown.
type parityFlags struct {
	against string
	record  string
	format  string
	ignore  []string
	all     bool
}

func (f *parityFlags) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.against, "against", "", "`reference`: runc, crun, podman, buildah, or a file that --record wrote (default: the first of these tools that is found)")
	fs.StringVar(&f.record, "record", "", "run the reference alone, and write what it saw to `file`")
	fs.StringVar(&f.format, "format", "text", "`text`, json, junit or html")
	fs.StringArrayVar(&f.ignore, "ignore", nil, "what may differ: a `pattern` of absolute paths, or a regular expression of output lines")
	fs.BoolVar(&f.all, "all", false, "list the differences that are explained one by one")
}

func newParityCmd(std stdio) *cobra.Command {
	var f containerFlags
	var p parityFlags
	cmd := &cobra.Command{
		Use:   "parity [flags] IMAGE [-- COMMAND [ARG...]]",
		Short: "Compare what a process sees here and in a container",
		Long: `parity starts a probe as process 1 of the sandbox, and of a container of the
same image with the same flags, and compares what the two can see and do:
process, environment, ids, capabilities, limits, system calls, namespaces,
mounts, devices, network, and every file of the root.

With COMMAND the probe then runs it in both, and its exit status, its output
and the files that it has left are compared as well.

Each difference is explained (docs/conformance.md has the reason), the host's
(of a recorded reference), or unexplained. runc and crun run a bundle of the
image, podman and buildah the image itself, from storage of their own that is
removed; a user's podman leaves its pause process, as after each use of it.
What had to be done to make the reference run here is said.

Exit status: 0 when nothing is unexplained, 1 when something is, 125 when a
side could not be run.`,
		Example: `  oci2bwrap parity ./image-dir
  oci2bwrap parity --against podman --network none ./image-dir
  oci2bwrap parity --writable ./image-dir -- make test
  oci2bwrap parity --record reference.json ./image-dir
  oci2bwrap parity --against reference.json --format junit ./image-dir > parity.xml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := f.parse(cmd, args)
			if err != nil {
				return err
			}
			return runParity(cmd.Context(), &f, &p, std, a)
		},
	}
	f.AddFlags(cmd.Flags())
	p.AddFlags(cmd.Flags())
	return cmd
}

func (f *parityFlags) check() error {
	if !slices.Contains([]string{"text", "json", "junit", "html"}, f.format) {
		return fmt.Errorf("--format: %q is not supported (has: text, json, junit, html)", f.format)
	}
	return nil
}

// options reads --ignore: what begins with / is a path's pattern.
func (f *parityFlags) options() (parity.Options, error) {
	var o parity.Options
	for _, pattern := range f.ignore {
		if strings.HasPrefix(pattern, "/") {
			o.Ignore = append(o.Ignore, strings.TrimSuffix(pattern, "/"))
			continue
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return o, fmt.Errorf("--ignore: %w", err)
		}
		o.Lines = append(o.Lines, re)
	}
	return o, nil
}

func runParity(ctx context.Context, f *containerFlags, p *parityFlags, std stdio, a imageArgs) error {
	if err := errors.Join(f.check(), p.check()); err != nil {
		return err
	}
	options, err := p.options()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	dir, err := newLockedDir(os.TempDir(), parityPrefix)
	if err != nil {
		return err
	}
	defer dir.close()
	if std, err = referenceOutside(ctx, f, p, std, a, dir.path); err != nil {
		return err
	}
	if p.record != "" && std.args == nil {
		return nil
	}
	work, err := newParityRun(f, p, std, a, dir.path)
	if err != nil {
		return err
	}
	defer work.close()
	if p.record != "" {
		return work.record(ctx)
	}
	theirs, err := work.reference(ctx)
	if err != nil {
		return err
	}
	ours, err := work.sandbox(ctx)
	if err != nil {
		return err
	}
	options.Set = work.set()
	res, err := parity.Compare(ours, theirs, options)
	if err != nil {
		return err
	}
	if err := writeResult(std.out, res, p); err != nil {
		return err
	}
	if !res.Same() {
		return exitStatus(1)
	}
	return nil
}

func writeResult(out *os.File, res *parity.Result, p *parityFlags) error {
	switch p.format {
	case "json":
		return writeJSON(out, res.Document())
	case "junit":
		return parity.WriteJUnit(out, res)
	case "html":
		return parity.WriteHTML(out, res)
	}
	return parity.WriteText(out, res, p.all)
}

// engineOf gives the engine that --against names or, where it names none, the
// first that is installed. A file has no engine.
func (f *parityFlags) engine() (name string, isFile bool, err error) {
	switch {
	case f.against == "":
		name, err = engine.Find(engine.Names...)
	case slices.Contains(engine.Names, f.against):
		name, err = engine.Find(f.against)
	default:
		return "", true, nil
	}
	if err != nil {
		err = &hinted{fmt.Errorf("reference: %w", err), "install one, or name a file that --record wrote elsewhere with --against"}
	}
	return name, false, err
}
