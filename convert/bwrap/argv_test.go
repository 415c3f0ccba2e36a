package bwrap

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"": "''", "a-b_c+d=e.f/g:h@i%j,k": "a-b_c+d=e.f/g:h@i%j,k", "a b": "'a b'", "it's": `'it'\''s'`, "'": `''\'''`,
		"~": "'~'", "$x": "'$x'", "a\nb": "'a\nb'", "é": "'é'", "#": "'#'", "!": "'!'", "*": "'*'", "{a,b}": "'{a,b}'",
	} {
		if got := Quote(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// TestVisible has words that would reach the reader's terminal as they are, or
// pass for an option of a line of their own. bash reads them back.
func TestVisible(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	for s, want := range map[string]string{
		"": "''", "a-b": "a-b", "a b": "'a b'", `it's \`: `'it'\''s \'`, "é": "'é'",
		"a\n--bind / /": `$'a\x0a--bind / /'`, "\x1b[2Jit's \\": `$'\x1b[2Jit\'s \\'`, "\xff1": `$'\xff1'`, "\u202ee": `$'\xe2\x80\xaee'`, "\u009b2J": `$'\xc2\x9b2J'`,
	} {
		got := visible(s)
		if got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if out, err := exec.Command(bash, "-c", "printf %s "+got).Output(); err != nil || string(out) != s {
			t.Errorf("%s: bash reads %q, %v", got, out, err)
		}
	}
}

// FuzzQuote asks sh, and bash where there is one, what they make of the word: it
// is one argument, with every byte as it was.
func FuzzQuote(f *testing.F) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Fatal(err)
	}
	shells := []string{sh}
	if bash, err := exec.LookPath("bash"); err == nil {
		shells = append(shells, bash)
	}
	for _, s := range []string{"", "-n", "'", "''", `\`, "\\'", "$(x)", "`x`", "a b", "\n", "\r", "\t", "*", "~", "~root", "#", "a=b", "=", "\x80", "é", "!!", "&", "[a]", "{a,b}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			return // no argument holds one
		}
		script := `printf '%s\000' first ` + Quote(s) + " last"
		for _, shell := range shells {
			out, err := exec.Command(shell, "-c", script).CombinedOutput()
			if want := "first\x00" + s + "\x00last\x00"; err != nil || string(out) != want {
				t.Fatalf("%s: %q: %v, %q, want %q", shell, script, err, out, want)
			}
		}
	})
}

func TestWords(t *testing.T) {
	c, err := Lower(plan(File{Dst: "/etc/hosts", Mode: 0o644, Data: []byte("x")}, Bind{Src: "/a b", Dst: "/c"}), Target{})
	if err != nil {
		t.Fatal(err)
	}
	words, err := c.Words(func(d *Data) (string, error) {
		if string(d.Bytes) != "x" {
			t.Errorf("data %q", d.Bytes)
		}
		return "7", nil
	})
	if err != nil || !slices.Equal(words[:8], []string{"--perms", "0644", "--bind-data", "7", "/etc/hosts", "--bind", "/a b", "/c"}) {
		t.Errorf("%q, %v", words, err)
	}
	failed := errors.New("no descriptor")
	if _, err := c.Words(func(*Data) (string, error) { return "", failed }); err != failed {
		t.Error(err)
	}
}
