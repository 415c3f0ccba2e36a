// Package probe reports all that a process can depend on, seen from inside.
// The same binary does it in a sandbox and in a container, as process 1 of
// each, so that the two reports can be compared.
//
// A report is JSON, one document a line: the Head, then an Entry for each file
// of the root filesystem in the order of Less, then the Tail. It is written
// while the tree is walked, and may be read in the same way: neither end ever
// holds all of it.
package probe

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
)

// Word makes the program the probe: it is its first argument.
const Word = "__probe"

// Version is that of the report. It rises when a fact changes its meaning.
const Version = 1

// Options are the probe's, as its arguments tell it.
type Options struct {
	SelfFD int      // descriptor of its own binary that it was given; 0 is none
	Skip   []string // directories that are named and not entered
	NoTree bool     // report no files
	Run    bool     // run the command before the files are looked at
	Args   []string // the command that it stands for
}

// Argv is the command line that passes o to the program called name.
func (o Options) Argv(name string) []string {
	argv := []string{name, Word}
	if o.SelfFD > 0 {
		argv = append(argv, fmt.Sprintf("-self=%d", o.SelfFD))
	}
	if o.NoTree {
		argv = append(argv, "-no-tree")
	}
	if o.Run {
		argv = append(argv, "-run")
	}
	for _, s := range o.Skip {
		argv = append(argv, "-skip="+s)
	}
	return append(append(argv, "--"), o.Args...)
}

func parse(args []string) (Options, error) {
	var o Options
	fs := flag.NewFlagSet(Word, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&o.SelfFD, "self", 0, "")
	fs.BoolVar(&o.NoTree, "no-tree", false, "")
	fs.BoolVar(&o.Run, "run", false, "")
	fs.Func("skip", "", func(s string) error { o.Skip = append(o.Skip, s); return nil })
	err := fs.Parse(args)
	o.Args = fs.Args()
	return o, err
}

// Main is to be called early in main, with os.Args: where the program was
// started as the probe it reports on stdout and does not return.
func Main(args []string) {
	if len(args) < 2 || args[1] != Word {
		return
	}
	if err := run(args[2:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(125)
	}
	os.Exit(0)
}

func run(args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	// First of all, while nothing else is open or changed.
	facts := gather(o)
	if o.Run {
		facts.run(o.Args)
	}
	w := bufio.NewWriterSize(out, 1<<16)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(Head{Version: Version, Facts: facts}); err != nil {
		return err
	}
	tail := Tail{}
	if !o.NoTree {
		if tail, err = writeTree("/", o.Skip, w); err != nil {
			return err
		}
	}
	if err := enc.Encode(tail); err != nil {
		return err
	}
	return w.Flush()
}

// gather collects the facts. What changes the process comes after what looks
// at it.
func gather(o Options) Facts {
	f := Facts{}
	f.descriptors(o.SelfFD)
	f.process(o.Args)
	f.status()
	f.limits()
	f.environment()
	f.command(o.Args)
	f.namespaces()
	f.names()
	mounts := readMounts()
	f.mounts(mounts)
	f.devices()
	f.kernelPaths()
	f.etc()
	f.network()
	f.writable(mounts)
	f.syscalls()
	return f
}
