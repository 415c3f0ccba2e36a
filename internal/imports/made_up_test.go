package imports_test

import (
	"slices"
	"testing"
)

// TestChecker shows that each kind of rule fails when it is broken, on a module
// made up for it.
func TestChecker(t *testing.T) {
	packages := []pkg{
		{ImportPath: "example.org/m/cmd/tool", Imports: []string{"example.org/m/a", "example.org/flags", "os"}},
		{ImportPath: "example.org/m/a", Imports: []string{"example.org/m/b", "fmt", "os/exec", "example.org/flags/sub"}},
		{ImportPath: "example.org/m/b", Imports: []string{"example.org/m/a", "example.org/other"}},
		{ImportPath: "example.org/other", Imports: []string{"net/http", "os/exec"}},
		{ImportPath: "net/http", Standard: true},
		{ImportPath: "net", Standard: true},
	}
	tests := []struct {
		name string
		got  []string
		want []string
	}{
		{
			"an import that is not allowed",
			ownImports("example.org/m", packages, []edge{{"cmd/...", "a"}, {"a", "b"}}, "because"),
			[]string{"b imports a: because"},
		},
		{
			"no rows at all",
			ownImports("example.org/m", packages, nil, "because"),
			[]string{"cmd/tool imports a: because", "a imports b: because", "b imports a: because"},
		},
		{
			"a ban with exceptions, and a path below the banned one",
			bannedImports("example.org/m", packages, []ban{{Import: "example.org/flags/...", Except: []string{"cmd/..."}, Reason: "because"}}),
			[]string{"a imports example.org/flags/sub: because"},
		},
		{
			"a ban for some packages only, exact, others' imports left alone",
			bannedImports("example.org/m", packages, []ban{
				{Import: "os", Only: []string{"a", "b"}, Reason: "no match"},
				{Import: "os/exec", Only: []string{"a", "b"}, Reason: "because"},
			}),
			[]string{"a imports os/exec: because"},
		},
		{
			"a dependency of a dependency, with the way to it",
			bannedDependencies("example.org/m/cmd/tool", packages, []ban{{Import: "net/http/...", Reason: "because"}}),
			[]string{"net/http is in the binary: because (example.org/m/cmd/tool → example.org/m/a → example.org/m/b → example.org/other → net/http)"},
		},
	}
	for _, test := range tests {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, test.got, test.want)
		}
	}
}

// TestRowsMatchSomething finds the rows of the real tables that a renamed package
// has left behind.
func TestRowsMatchSomething(t *testing.T) {
	packages := list(t, module+"/...")
	exists := func(pattern string) bool {
		return slices.ContainsFunc(packages, func(p pkg) bool {
			path, ok := relative(module, p.ImportPath)
			return ok && match(pattern, path)
		})
	}
	for _, e := range allowed {
		if !exists(e.From) || !exists(e.To) {
			t.Errorf("no package for the row %v", e)
		}
	}
	for _, b := range bans {
		for _, pattern := range slices.Concat(b.Only, b.Except) {
			if !exists(pattern) {
				t.Errorf("ban of %s: no package for %q", b.Import, pattern)
			}
		}
	}
}
