package bwrap

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Script says how a plan becomes a shell script.
type Script struct {
	Features Features // of the bubblewrap that is to run it; Stage and its overlay don't count

	// Defaults is how many of the process's last arguments are only what it
	// gets when the script is called without arguments. Otherwise the
	// script's own arguments follow all of them.
	Defaults int
}

// maxScriptData is how many contents a script can hand to bubblewrap: a POSIX
// shell has descriptors of one digit.
const maxScriptData = 7

// Script writes the plan as a POSIX shell script that needs bubblewrap alone.
// What only the init and the stage could do is not in it.
func (p *Plan) Script(s Script) ([]byte, error) {
	s.Features.Stage, s.Features.StageOverlay = false, false
	c, err := Lower(p, Target{Features: s.Features, Script: true})
	if err != nil {
		return nil, err
	}
	var data []*Data
	words, err := c.Words(func(d *Data) (string, error) {
		data = append(data, d)
		return strconv.Itoa(2 + len(data)), nil
	})
	if err != nil {
		return nil, err
	}
	if len(data) > maxScriptData {
		return nil, fmt.Errorf("the plan has %d contents to hand over, a shell has descriptors for %d", len(data), maxScriptData)
	}
	var b bytes.Buffer
	b.WriteString("#!/bin/sh\n")
	args := c.Process.Args
	if n := min(s.Defaults, len(args)); n > 0 {
		b.WriteString("[ $# -gt 0 ] || set --")
		quoteAll(&b, args[len(args)-n:])
		b.WriteString("\n")
		args = args[:len(args)-n]
	}
	fmt.Fprintf(&b, "umask %04o\n", c.Process.Umask)
	for i, d := range data {
		writeData(&b, 3+i, d.Bytes)
	}
	b.WriteString("exec bwrap")
	for _, o := range groupWords(words, c.Options) {
		b.WriteString(" \\\n ")
		quoteAll(&b, o)
	}
	b.WriteString(" \\\n  --")
	quoteAll(&b, args)
	b.WriteString(" \"$@\"\n")
	return b.Bytes(), nil
}

// groupWords gives each option the words that belong to it.
func groupWords(words []string, options []Option) [][]string {
	var out [][]string
	for _, o := range options {
		out = append(out, words[:len(o)])
		words = words[len(o):]
	}
	return out
}

func quoteAll(b *bytes.Buffer, words []string) {
	for _, w := range words {
		b.WriteByte(' ')
		b.WriteString(Quote(w))
	}
}

// writeData opens the descriptor on the content: a here-document where that
// can hold it, which is whole lines of ASCII without NUL, and else a file that
// has lost its name by the time it is read. dash drops a byte 0x80 from a line
// that begins as the one that ends the document.
func writeData(b *bytes.Buffer, fd int, content []byte) {
	odd := func(r rune) bool { return r == 0 || r >= utf8.RuneSelf }
	if bytes.HasSuffix(content, []byte("\n")) && bytes.IndexFunc(content, odd) < 0 {
		end := "EOF"
		for slices.Contains(strings.Split(string(content), "\n"), end) {
			end += "_"
		}
		fmt.Fprintf(b, "exec %d<<'%s'\n%s%s\n", fd, end, content, end)
		return
	}
	b.WriteString("f=$(mktemp) || exit 125\nprintf '")
	for _, c := range content {
		fmt.Fprintf(b, `\%03o`, c)
	}
	fmt.Fprintf(b, "' >\"$f\" || exit 125\nexec %d<\"$f\"\nrm -f \"$f\"\n", fd)
}

// scriptProcess adds what the init would set up, as far as bubblewrap can: the
// environment, the working directory, the capabilities that take effect.
func (l *lowering) scriptProcess(p *Plan) {
	l.add("--cap-drop", "ALL")
	for _, c := range p.Process.Capabilities.Effective {
		l.add("--cap-add", c)
	}
	l.add("--clearenv")
	for _, e := range p.Process.Env {
		name, value, _ := strings.Cut(e, "=")
		l.add("--setenv", name, value)
	}
	l.add("--chdir", p.Process.Cwd)
	if !p.Process.Init && p.Namespaces.PID { // else bubblewrap's own process 1 reaps
		l.add("--as-pid-1")
	}
	l.add("--new-session")
	l.add("--die-with-parent")
	if s := p.Process.Seccomp; s != nil {
		l.cmd.Options = append(l.cmd.Options, Option{{Text: "--seccomp"}, {Data: &Data{Name: "seccomp", Bytes: s.BPF}}})
	}
}
