package bwrap

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words gives the options as bubblewrap reads them, with each Data replaced
// by what fd answers for it.
func (c *Command) Words(fd func(*Data) (string, error)) ([]string, error) {
	var words []string
	for _, o := range c.Options {
		for _, a := range o {
			if a.Data == nil {
				words = append(words, a.Text)
				continue
			}
			w, err := fd(a.Data)
			if err != nil {
				return nil, err
			}
			words = append(words, w)
		}
	}
	return words, nil
}

// WriteArgv writes the command for reading: one option a line, quoted for a
// shell where needed and without control characters, data as <fd:name>, the
// command of the container after `--`, behind the init that starts it.
func (c *Command) WriteArgv(w io.Writer) error {
	var b strings.Builder
	b.WriteString("bwrap\n")
	for _, o := range c.Options {
		for i, a := range o {
			if i > 0 {
				b.WriteByte(' ')
			}
			if a.Data != nil {
				fmt.Fprintf(&b, "<fd:%s>", a.Data.Name)
			} else {
				b.WriteString(visible(a.Text))
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("-- <init>")
	for _, a := range c.Process.Args {
		b.WriteByte(' ')
		b.WriteString(visible(a))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// Quote gives s as one word of a POSIX shell.
func Quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:@%,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// visible is Quote for a terminal, which the words of an image must not reach as
// they are: what doesn't print is escaped as bash, ksh and zsh read it.
func visible(s string) string {
	var b strings.Builder
	plain := true
	for rest := s; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case !unicode.IsPrint(r) || r == utf8.RuneError && n == 1:
			plain = false
			for _, c := range []byte(rest[:n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			fallthrough
		default:
			b.WriteString(rest[:n])
		}
		rest = rest[n:]
	}
	if plain {
		return Quote(s)
	}
	return "$'" + b.String() + "'"
}
