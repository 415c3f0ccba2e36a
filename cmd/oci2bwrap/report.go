package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// exitStatus ends the program with the command's own status and no message.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// report prints the error, one line a fault and at most one hint, and gives
// the exit status that it stands for.
func report(w io.Writer, err error) int {
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	for _, line := range faults(err) {
		fmt.Fprintf(w, "oci2bwrap: %s\n", printable(line))
	}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		fmt.Fprintf(w, "hint: %s\n", printable(hinted.Hint()))
	}
	var exec *runner.ExecError
	if errors.As(err, &exec) {
		return exec.Code
	}
	return 125
}

// faults takes joined errors apart. A wrapper around several keeps its words
// in front of each.
func faults(err error) []string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range many.Unwrap() {
			all = append(all, faults(e)...)
		}
		if strings.Join(all, "\n") == err.Error() {
			return all
		}
	}
	return []string{err.Error()}
}

// printNotes prints what the user should know, a line each.
func printNotes(w io.Writer, notes []convert.Note) {
	for _, n := range notes {
		fmt.Fprintf(w, "oci2bwrap: note: %s\n", printable(n.Field+": "+n.Text))
	}
}

// writeJSON writes a command's product for programs.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printable keeps what an image says from steering the terminal, and a
// message on its line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
