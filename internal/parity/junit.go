package parity

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the result as CI systems read it: a test for each group of
// facts, passed or failed with its unexplained differences, and a skipped one
// for each difference that is explained.
func WriteJUnit(w io.Writer, r *Result) error {
	suite := junitSuite{Name: fmt.Sprintf("parity: %s and %s", r.Ours.Name, r.Theirs.Name)}
	class := "parity." + r.Theirs.Engine
	for _, group := range r.Groups {
		var faults []string
		for _, d := range r.of(Unexplained) {
			if d.Group == group {
				faults = append(faults, fmt.Sprintf("%s: sandbox %s, reference %s", d.Name, shown(d.Ours), shown(d.Theirs)))
			}
		}
		c := junitCase{Class: class, Name: group}
		if len(faults) > 0 {
			suite.Failures++
			c.Failure = &junitMessage{Message: plural(int64(len(faults)), "unexplained difference"), Text: printable(strings.Join(faults, "\n"))}
		}
		suite.Cases = append(suite.Cases, c)
	}
	for _, d := range r.Differences {
		if d.Class == Unexplained {
			continue
		}
		suite.Skipped++
		suite.Cases = append(suite.Cases, junitCase{Class: class + "." + string(d.Class), Name: printable(d.Group + ": " + d.Name),
			Skipped: &junitMessage{Message: strings.TrimPrefix(d.Row+": "+d.Reason, ": "), Text: printable("sandbox " + shown(d.Ours) + ", reference " + shown(d.Theirs))}})
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(junitSuites{Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// printable leaves no character out that XML could not hold: what is in a
// report is escaped, this is for names of other origin.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && !slices.Contains([]rune{'\n', '\t'}, r) {
			return '?'
		}
		return r
	}, s)
}
