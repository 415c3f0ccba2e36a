package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// imageArgs are a command's arguments: which image, and what is to be run.
type imageArgs struct {
	ref     string
	rootfs  []string // directories instead of an IMAGE, lowest first
	command []string // nil where none was given
}

// parse takes the arguments apart. A "--" between IMAGE and COMMAND is
// dropped. With --rootfs and no rootfs: image all of them are COMMAND.
func (f *imageFlags) parse(cmd *cobra.Command, args []string) (imageArgs, error) {
	a := imageArgs{}
	switch {
	case len(f.rootfs) > 0 && (len(args) == 0 || !strings.HasPrefix(args[0], "rootfs:")):
		a.rootfs = f.rootfs
	case len(args) == 0:
		return a, &hinted{errors.New("no IMAGE given"), cmd.CommandPath() + " --help shows examples"}
	default:
		a.ref, args = args[0], args[1:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) > 0 {
		a.command = args
	}
	return a, nil
}

// openImage reads the documents of the image. What it has to read before that
// is told to tell, which may be nil.
func openImage(f *imageFlags, a imageArgs, stdin *os.File, tell func(layout.Progress)) (*layout.Image, error) {
	ref, o, err := f.reference(a, stdin)
	if err != nil {
		return nil, err
	}
	o.Progress = tell
	return layout.Open(ref, o)
}

// reference gives what layout needs to find the image.
func (f *imageFlags) reference(a imageArgs, stdin *os.File) (layout.Ref, layout.OpenOptions, error) {
	o := layout.OpenOptions{Platform: f.platform, Config: f.config, Rootfs: f.rootfs}
	var err error
	if o.Limits, err = f.limits(); err != nil {
		return layout.Ref{}, o, err
	}
	if dir, err := f.dir(); err == nil {
		o.TempDir = dir // without one archives are spooled where the system has temporary files
	}
	if len(a.rootfs) > 0 {
		o.Rootfs = a.rootfs[1:]
		return layout.Ref{Transport: "rootfs", Path: a.rootfs[0]}, o, nil
	}
	ref, err := layout.ParseRef(a.ref)
	if err != nil {
		return ref, o, err
	}
	if ref.Transport != "rootfs" && (f.config != "" || len(f.rootfs) > 0) {
		return ref, o, &hinted{fmt.Errorf("--config and --rootfs go with a rootfs: image, not with %q", a.ref), "rootfs:DIR is one; with --rootfs DIR there is no IMAGE, and COMMAND comes first"}
	}
	if fromStdin(ref) {
		if isTerminal(stdin) {
			return ref, o, &hinted{errors.New("the image - is read from stdin, which is a terminal"), "pipe an archive in, as in ./result | oci2bwrap run -"}
		}
		o.Stdin = stdin
	}
	return ref, o, nil
}

// fromStdin says that stdin is the image, and nothing for its command.
func fromStdin(ref layout.Ref) bool { return ref.Path == "-" }

func (a imageArgs) fromStdin() bool {
	ref, err := layout.ParseRef(a.ref)
	return err == nil && fromStdin(ref)
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
