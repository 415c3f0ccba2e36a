package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/layout"
)

func newUnpackCmd(std stdio) *cobra.Command {
	var f imageFlags
	cmd := &cobra.Command{
		Use:   "unpack [flags] IMAGE DIR",
		Short: "Write an image as an OCI runtime bundle",
		Long: `unpack writes DIR/rootfs with the image's files and DIR/config.json with its
Spec. DIR must be empty or not exist. As root the files have the image's
owners, otherwise they are the caller's.

Exit status: 0, or 125 with a message and DIR as it was.`,
		Example: `  oci2bwrap unpack ./image-dir ./bundle
  cd bundle && runc run name`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &hinted{fmt.Errorf("unpack takes IMAGE and DIR, not %d arguments", len(args)), "oci2bwrap unpack --help shows examples"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUnpack(cmd.Context(), &f, std, args[0], args[1])
		},
	}
	f.AddFlags(cmd.Flags())
	return cmd
}

// errBundle refuses to unpack what is unpacked.
func errBundle(name string) error {
	return &hinted{fmt.Errorf("image %q is a bundle already", name), "run it, or copy it"}
}

func runUnpack(ctx context.Context, f *imageFlags, std stdio, name, dir string) (err error) {
	tell, done := newProgress(std, f.quiet)
	defer done()
	img, err := openImage(f, imageArgs{ref: name}, std.in, tell)
	if err != nil {
		return err
	}
	defer img.Close()
	if img.Bundle != nil {
		return errBundle(name)
	}
	made, err := claim(dir)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	defer func() {
		if err != nil {
			empty(dir)
			if made {
				os.Remove(dir)
			}
		}
	}()
	rootfs := filepath.Join(dir, "rootfs")
	var skipped []layout.Skipped
	limits, err := f.limits()
	if err != nil {
		return err
	}
	o := layout.UnpackOptions{Limits: limits, Progress: tell, OnSkip: func(s layout.Skipped) { skipped = append(skipped, s) }}
	if isRoot() {
		o.Ownership, o.Devices = layout.Real, true
	}
	if err := layout.Unpack(ctx, img, rootfs, o); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	res, err := bundleSpec(img, rootfs)
	if err != nil {
		return err
	}
	if !f.quiet {
		done() // before what is the same terminal
		printNotes(std.err, elsewhere(res))
		printSkipped(std.err, skipped)
	}
	return writeBundle(dir, res)
}

// printSkipped says what the root lacks, which may be files or what belongs to
// one: a line, however much it is.
func printSkipped(w io.Writer, skipped []layout.Skipped) {
	if len(skipped) == 0 {
		return
	}
	more := ""
	if n := len(skipped) - 1; n > 0 {
		more = fmt.Sprintf("; and %d more", n)
	}
	s := skipped[0]
	fmt.Fprintf(w, "oci2bwrap: note: left out: %s of %q: %s%s\n", printable(s.What), s.Path, printable(s.Why), more)
}

// claim makes dir, or takes it when it is empty.
func claim(dir string) (made bool, err error) {
	err = os.Mkdir(dir, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	if len(entries) > 0 {
		return false, &hinted{fmt.Errorf("%s is not empty: it has %q", dir, entries[0].Name()), "name a directory that is empty or does not exist"}
	}
	return false, nil
}

// empty removes what was written to dir.
func empty(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(dir, e.Name()))
	}
}

func bundleSpec(img *layout.Image, dir string) (*convert.Result, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	by := standing{root: true}
	if !isRoot() {
		if by, err = here(nil, true); err != nil {
			return nil, err
		}
	}
	root, err := viewOf(&layout.Rootfs{Dirs: []string{abs}, Owned: true}, by.root)
	if err != nil {
		return nil, err
	}
	host, err := readHost(by)
	if err != nil {
		return nil, err
	}
	var o convert.Options
	c := img.Config.Config
	if len(c.Entrypoint)+len(c.Cmd) == 0 {
		o.Command = []string{"sh"} // as runc spec has it: a bundle can't be without
	}
	return convert.Spec(img.Config, root, host, o)
}

func writeBundle(dir string, res *convert.Result) error {
	doc, err := json.MarshalIndent(res.Spec, "", "\t")
	if err != nil {
		return err
	}
	files := map[string][]byte{"config.json": append(doc, '\n')}
	for name, data := range res.Files {
		files[name] = data
	}
	for name, data := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
