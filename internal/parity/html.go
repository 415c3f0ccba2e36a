package parity

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"strings"
)

// WriteHTML writes the result as one page that needs nothing else: the
// verdict, the two sides, the differences, and the mounts of both drawn side
// by side.
func WriteHTML(w io.Writer, r *Result) error {
	p := page{bufio.NewWriter(w), r}
	verdict := map[bool]string{true: "same", false: "different"}[r.Same()]
	p.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
	p.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
	p.put("<title>parity: %s</title>\n", r.Verdict())
	p.raw("<style>" + pageStyle + "</style>\n</head>\n<body>\n")
	p.put("<header class=\"%s\"><h1>%s</h1><p>%s</p></header>\n", verdict, verdict, r.Verdict())
	p.sides()
	p.differences()
	p.trees()
	p.raw("</body>\n</html>\n")
	return p.w.Flush()
}

type page struct {
	w *bufio.Writer
	r *Result
}

func (p page) raw(s string) { p.w.WriteString(s) }

// put writes a format whose operands are text, never markup.
func (p page) put(format string, operands ...string) {
	escaped := make([]any, len(operands))
	for i, o := range operands {
		escaped[i] = html.EscapeString(o)
	}
	fmt.Fprintf(p.w, format, escaped...)
}

func (p page) sides() {
	p.raw("<section class=\"sides\">\n")
	for i, s := range []Side{p.r.Ours, p.r.Theirs} {
		p.put("<article><h2>%s</h2><p class=\"name\">%s</p>", [2]string{"sandbox", "reference"}[i], s.Name)
		if s.Adapted != "" {
			p.put("<p>%s</p>", s.Adapted)
		}
		p.put("<p>%s, as %s</p></article>\n", plural(int64(len(p.r.Mounts[i])), "mount"), map[bool]string{true: "root", false: "an ordinary user"}[s.Host.Root])
	}
	p.put("<article><h2>compared</h2><p class=\"name\">%s, %s</p>", plural(int64(p.r.Facts), "fact"), plural(int64(p.r.Files), "file"))
	for _, c := range []Class{Unexplained, Explained, OfHost, Ignored} {
		p.put("<p><span class=\"dot %s\"></span>%s %s</p>", string(c), fmt.Sprint(p.r.Counts[c]), string(c))
	}
	p.raw("</article>\n</section>\n")
}

func (p page) differences() {
	for _, class := range []Class{Unexplained, OfHost, Explained, Ignored} {
		list := p.r.of(class)
		if len(list) == 0 {
			continue
		}
		open := map[bool]string{true: " open"}[class == Unexplained]
		p.raw("<details" + open + ">")
		p.put("<summary><span class=\"dot %s\"></span>%s: %s</summary>\n", string(class), string(class), plural(int64(p.r.Counts[class]), "difference"))
		p.raw("<table><thead><tr><th>what</th><th>sandbox</th><th>reference</th><th>why</th></tr></thead>\n<tbody>\n")
		group := ""
		for _, d := range list {
			if d.Group != group {
				group = d.Group
				p.put("<tr class=\"group\"><td colspan=\"4\">%s</td></tr>\n", group)
			}
			p.put("<tr><td>%s</td><td><code>%s</code></td><td><code>%s</code></td><td>%s</td></tr>\n", d.Name, shown(d.Ours), shown(d.Theirs), d.Reason)
		}
		if more := p.r.Counts[class] - len(list); more > 0 {
			p.put("<tr><td colspan=\"4\">… and %s more</td></tr>\n", fmt.Sprint(more))
		}
		p.raw("</tbody></table></details>\n")
	}
}

// trees draws the mounts of both sides, a line for each place that either has:
// what lies in a mount is indented below it.
func (p page) trees() {
	p.raw("<h2 id=\"mounts\">mounts</h2>\n<table class=\"mounts\"><thead><tr><th>sandbox</th><th>reference</th></tr></thead>\n<tbody>\n")
	for _, pair := range sideBySide(p.r.Mounts) {
		class := "same"
		if pair[0].String() != pair[1].String() || pair[0].Super != pair[1].Super {
			class = "differs"
		}
		p.raw("<tr class=\"" + class + "\">")
		for _, m := range pair {
			if m.Path == "" {
				p.raw("<td class=\"none\"></td>")
				continue
			}
			p.raw("<td>" + strings.Repeat("<i></i>", m.Depth))
			p.put("<b>%s</b> <span class=\"type\">%s</span> <small>%s</small></td>", m.Path, m.Type, m.Options)
		}
		p.raw("</tr>\n")
	}
	p.raw("</tbody></table>\n")
}

const pageStyle = `
:root { color-scheme: light dark; --line: #8884; --good: #1a7f4b; --bad: #b3261e; --known: #8a6d00; --off: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 0 1rem 3rem; }
header { margin: 1rem 0; padding: .6rem 1.2rem; border-radius: .5rem; color: #fff; }
header.same { background: var(--good); } header.different { background: var(--bad); }
header h1 { margin: 0; font-size: 1.6rem; } header p { margin: 0; }
.sides { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; }
.sides article { border: 1px solid var(--line); border-radius: .5rem; padding: .4rem 1rem; }
.sides h2 { font-size: .8rem; text-transform: uppercase; letter-spacing: .06em; margin: .3rem 0 0; color: var(--off); }
.sides p { margin: .1rem 0; } .sides .name { font-weight: 600; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; background: var(--off); }
.dot.unexplained { background: var(--bad); } .dot.explained { background: var(--good); } .dot.host { background: var(--known); }
details { margin-top: 1.2rem; } summary { font-size: 1.15rem; font-weight: 600; cursor: pointer; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; margin-top: .5rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
tr.group td { font-weight: 600; background: #8881; }
code, .mounts td { font: 13px/1.4 ui-monospace, monospace; }
.mounts i { display: inline-block; width: 1.1em; height: 1.4em; margin-right: .3em; border-left: 1px solid var(--off); vertical-align: middle; }
.mounts .differs td { background: #8a6d0018; } .mounts .type { color: var(--good); } .mounts small { color: var(--off); }
.mounts .none { background: repeating-linear-gradient(135deg, transparent 0 6px, #8882 6px 8px) !important; }
`
