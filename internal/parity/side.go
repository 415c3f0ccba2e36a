// Package parity compares what a process sees in two worlds, and says of each
// difference whether it is known and why.
package parity

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/oci2bwrap/oci2bwrap/internal/probe"
)

// Side is one of the two worlds: who made it, and on what host.
type Side struct {
	Name    string `json:"name"`              // "sandbox", or the engine and its version
	Engine  string `json:"engine"`            // "oci2bwrap", "runc", …
	Adapted string `json:"adapted,omitempty"` // what was done to make the engine run on its host
	Host    Host   `json:"host"`
}

// Host is what a side needs to know of the machine that it stands on.
type Host struct {
	ID         string            `json:"id"`         // of the machine's start; differs between hosts
	Root       bool              `json:"root"`       // the caller was real root
	PIDMax     uint64            `json:"pidMax"`     // kernel.pid_max; 0 is unknown
	Namespaces map[string]string `json:"namespaces"` // the caller's, as probe.Namespaces has them
}

// Report is a side's report while it is read: facts first, then file by file.
type Report struct {
	Side
	Facts probe.Facts
	Tail  probe.Tail

	lines *bufio.Reader
	line  []byte // the last that was read
}

// ErrCutOff says that a report ends before its last line.
var ErrCutOff = errors.New("the report is cut off")

// ReadReport reads what the probe wrote.
func ReadReport(side Side, r io.Reader) (*Report, error) {
	rep := &Report{Side: side, lines: bufio.NewReaderSize(r, 1<<16)}
	line, err := rep.lines.ReadBytes('\n')
	var head probe.Head
	if err == nil {
		err = json.Unmarshal(line, &head)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: no report: %w", side.Name, err)
	}
	if head.Version != probe.Version {
		return nil, fmt.Errorf("%s: report of version %d, this is %d", side.Name, head.Version, probe.Version)
	}
	rep.Facts = head.Facts
	return rep, nil
}

// advance reads the next file's line, and sets line to nil after the last.
func (r *Report) advance() error {
	line, err := r.lines.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		err = ErrCutOff
	}
	if err == nil && bytes.HasPrefix(line, []byte(`{"end":`)) {
		r.line = nil
		return json.Unmarshal(line, &r.Tail)
	}
	r.line = line
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	return nil
}

// entry is the line that was read last; nil after the last.
func (r *Report) entry() (*probe.Entry, error) {
	if r.line == nil {
		return nil, nil
	}
	e := new(probe.Entry)
	if err := json.Unmarshal(r.line, e); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	return e, nil
}

// recordVersion is that of a record's first line.
const recordVersion = 1

type recordHead struct {
	Record int  `json:"record"`
	Side   Side `json:"side"`
}

// WriteRecord writes a side and the report that the probe wrote of it, for
// ReadRecord, here or on another machine.
func WriteRecord(w io.Writer, side Side, report io.Reader) error {
	if err := json.NewEncoder(w).Encode(recordHead{Record: recordVersion, Side: side}); err != nil {
		return err
	}
	_, err := io.Copy(w, report)
	return err
}

// ReadRecord reads a record.
func ReadRecord(r io.Reader) (*Report, error) {
	br := bufio.NewReader(r)
	line, err := br.ReadBytes('\n')
	var head recordHead
	if err == nil {
		err = json.Unmarshal(line, &head)
	}
	if err != nil || head.Record == 0 {
		return nil, errors.New("not a record of parity --record")
	}
	if head.Record != recordVersion {
		return nil, fmt.Errorf("a record of version %d, this is %d", head.Record, recordVersion)
	}
	return ReadReport(head.Side, br)
}
