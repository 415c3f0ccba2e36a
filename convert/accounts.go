package convert

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// Bounds for passwd and group, which are foreign input.
const (
	maxAccounts     = 4 << 20
	maxAccountLines = 100_000
)

// accounts is a passwd(5) or group(5) of the image: its lines, split at the
// colons, each with at least a name and the ids.
type accounts struct {
	file    string // "/etc/passwd"
	at      string // where it is once links are followed
	data    []byte
	lines   [][]string
	err     error // why there are no lines
	missing bool
}

func (a *accounts) String() string {
	if a.at != "" && a.at != a.file {
		return fmt.Sprintf("the image's %s (at %q)", a.file, a.at)
	}
	return "the image's " + a.file
}

// accounts reads file from the image. It always answers; what went wrong
// stands in err, for those who need the lines.
func (c *conversion) accounts(file string) *accounts {
	a := &accounts{file: file}
	data, err := c.readFile(a)
	if err != nil {
		a.err, a.missing = err, errors.Is(err, fs.ErrNotExist)
		return a
	}
	a.data = data
	fields := 3
	if file == "/etc/passwd" {
		fields = 4
	}
	a.lines, err = parseAccounts(data, fields)
	if err != nil {
		a.lines, a.err = nil, fmt.Errorf("%s: %w", a, err)
	}
	return a
}

func (c *conversion) readFile(a *accounts) ([]byte, error) {
	if c.root.FS == nil {
		return nil, fmt.Errorf("%s: %w", a, fs.ErrNotExist)
	}
	p, err := inroot.Resolve(c.root.FS, a.file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a, err)
	}
	a.at = p.Name
	switch {
	case p.Missing != "":
		return nil, fmt.Errorf("%s: %w", a, fs.ErrNotExist)
	case !p.Mode.IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", a)
	}
	f, err := c.root.FS.Open(p.Name[1:])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAccounts+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", a, err)
	case len(data) > maxAccounts:
		return nil, fmt.Errorf("%s: larger than %d bytes", a, maxAccounts)
	}
	return data, nil
}

// parseAccounts splits the lines that have a name and at least fields fields.
// Comments and the +/- lines of NIS are passed over, as is what is no account.
func parseAccounts(data []byte, fields int) ([][]string, error) {
	var lines [][]string
	for text := range strings.Lines(string(data)) {
		text = strings.TrimSpace(text)
		if text == "" || strings.ContainsRune("#+-", rune(text[0])) {
			continue
		}
		line := strings.Split(text, ":")
		if len(line) < fields || line[0] == "" {
			continue
		}
		if len(lines) == maxAccountLines {
			return nil, fmt.Errorf("more than %d lines", maxAccountLines)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// byName gives the first line of that name, nil where there is none.
func (a *accounts) byName(name string) []string {
	for _, line := range a.lines {
		if line[0] == name {
			return line
		}
	}
	return nil
}

// byID gives the first line with that id.
func (a *accounts) byID(id uint32) []string {
	for _, line := range a.lines {
		if n, ok := parseID(line[2]); ok && n == id {
			return line
		}
	}
	return nil
}

// nameOf gives the first name with that id, "" where there is none.
func (a *accounts) nameOf(id uint32) string {
	if line := a.byID(id); line != nil {
		return line[0]
	}
	return ""
}
