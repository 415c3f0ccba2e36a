package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// LimitError reports that an image goes beyond one of the Limits.
type LimitError struct {
	Field string // name of the field of Limits
	What  string // what has gone beyond it
	Max   int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s (limit: %d)", e.What, e.Max)
}

// Hint names the flag that raises the limit, where there is one.
func (e *LimitError) Hint() string {
	flag := map[string]string{"Entries": "--max-entries", "JSON": "--max-json", "Ratio": "--max-ratio", "Size": "--max-size", "Sparse": "--max-size"}[e.Field]
	if flag == "" {
		return ""
	}
	return flag + " raises the limit, if the image is to be trusted with it"
}

// hinted is an error with a remedy.
type hinted struct {
	error
	hint string
}

func (e *hinted) Hint() string  { return e.hint }
func (e *hinted) Unwrap() error { return e.error }

// also adds to err what went wrong besides, on the same line.
func also(err, more error) error {
	switch {
	case more == nil:
		return err
	case err == nil:
		return more
	}
	return fmt.Errorf("%w; and %w", err, more)
}

// foreign makes the message of a parser fit to show: parsers repeat what they
// were given.
func foreign(err error) error {
	const most = 300
	if err == nil {
		return nil
	}
	if kind := (*json.UnmarshalTypeError)(nil); errors.As(err, &kind) {
		err = wrongJSON(kind)
	}
	s := strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, err.Error())
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return errors.New(s)
}

// wrongJSON says in JSON's words what json says in Go's types.
func wrongJSON(err *json.UnmarshalTypeError) error {
	var want string
	switch err.Type.Kind() {
	case reflect.Struct, reflect.Map:
		want = "object"
	case reflect.Slice, reflect.Array:
		want = "array"
	case reflect.String:
		want = "string"
	case reflect.Bool:
		want = "bool"
	default:
		want = err.Type.String()
	}
	what := fmt.Sprintf("JSON %s, want %s", err.Value, want)
	if err.Field != "" {
		what = err.Field + ": " + what
	}
	return errors.New(what)
}

// quote renders a foreign name for a message: escaped and of bounded length.
func quote(s string) string {
	const most = 200
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// shorten escapes foreign names that would garble a message, and bounds how
// many there are.
func shorten(names []string) []string {
	out := few(names)
	for i, n := range out {
		if q := quote(n); q != `"`+n+`"` {
			out[i] = q
		}
	}
	return out
}

// few is a copy of the first parts of a message, and how many are left out.
func few(parts []string) []string {
	const most = 20
	if len(parts) <= most {
		return slices.Clone(parts)
	}
	return append(slices.Clone(parts[:most]), fmt.Sprintf("and %d more", len(parts)-most))
}
