package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// planText writes the plan for a person: the process, the tree of mounts with
// the reason for each, the gaps and notes.
func planText(s *session, std stdio) error {
	w := bufio.NewWriter(std.out)
	t := planPrinter{session: s, w: w}
	t.process()
	t.mounts()
	t.gaps()
	return w.Flush()
}

type planPrinter struct {
	*session
	w io.Writer
}

// line writes a row of two columns and the reason for it.
func (t planPrinter) line(label, text, why string) {
	if why != "" {
		why = "   # " + why
	}
	fmt.Fprintf(t.w, "%-9s %s%s\n", label, printable(text), printable(why))
}

func (t planPrinter) process() {
	p, origin := t.planned.Plan.Process, t.result.Origin
	t.line("image", t.image.Name+"  "+t.image.Digest.String(), "")
	words := make([]string, len(p.Args))
	for i, a := range p.Args {
		words[i] = bwrap.Quote(a)
	}
	t.line("command", strings.Join(words, " "), origin["process.args"])
	t.line("cwd", p.Cwd, origin["process.cwd"])
	ids := fmt.Sprintf("%d:%d", p.UID, p.GID)
	for i, g := range p.Groups {
		ids += map[bool]string{true: ", groups ", false: " "}[i == 0] + fmt.Sprint(g)
	}
	t.line("user", ids, origin["process.user"])
	t.line("umask", fmt.Sprintf("%04o", p.Umask), "")
	t.rights()
	if p.Terminal {
		text := "its own"
		if p.Rows > 0 {
			text += fmt.Sprintf(", %d columns by %d rows where the caller has none", p.Columns, p.Rows)
		}
		t.line("terminal", text, "-t or process.terminal")
	}
	if p.Init {
		t.line("init", "a reaper is process 1, the command its child", "--init")
	}
	for _, h := range p.StartHooks {
		t.line("hook", bwrap.Quote(h.Path), "hooks.startContainer")
	}
	t.line("stop", p.StopSignal, origin["stopSignal"])
	t.spaces()
	for i, e := range p.Env {
		name, _, _ := strings.Cut(e, "=")
		t.line(map[bool]string{true: "env"}[i == 0], bwrap.Quote(e), origin["env:"+name])
	}
}

func namespaceWords(n bwrap.Namespaces) (own, shared string) {
	owns, shares := []string{"mount"}, []string{}
	for _, ns := range []struct {
		own  bool
		name string
	}{{n.PID, "pid"}, {n.IPC, "ipc"}, {n.UTS, "uts"}, {n.Cgroup, "cgroup"}, {n.Net, "network"}, {n.User, "user"}} {
		if ns.own {
			owns = append(owns, ns.name)
		} else {
			shares = append(shares, ns.name)
		}
	}
	if n.Time {
		owns = append(owns, "time")
	}
	return strings.Join(owns, " "), strings.Join(shares, " ")
}

func (t planPrinter) gaps() {
	if len(t.planned.Gaps) == 0 {
		fmt.Fprintln(t.w, "\nno gaps")
	} else {
		fmt.Fprintln(t.w, "\ngaps")
	}
	for _, g := range t.planned.Gaps {
		fmt.Fprintf(t.w, "  %s: %s (%s)\n", printable(g.Field), printable(g.Reason), g.Effect)
		if g.Remedy != "" {
			fmt.Fprintf(t.w, "    remedy: %s\n", printable(g.Remedy))
		}
	}
	if len(t.planned.Notes) > 0 {
		fmt.Fprintln(t.w, "\nnotes")
	}
	for _, n := range t.planned.Notes {
		fmt.Fprintf(t.w, "  %s: %s\n", printable(n.Field), printable(n.Text))
	}
}
