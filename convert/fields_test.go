package convert

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/internal/parity"
)

var update = flag.Bool("update", false, "rewrite the goldens and docs/conformance.md")

// fieldPaths lists the fields of a type that have no struct below them, and
// those that have a row that stands for all below.
func fieldPaths(t reflect.Type, path string, rows map[string]Class) []string {
	if c := rows[path]; c == Refused || c == Irrelevant {
		return []string{path}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return fieldPaths(t.Elem(), path, rows)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct && rows[path] == "" {
			return fieldPaths(t.Elem(), path+"[]", rows)
		}
	case reflect.Struct:
		if t.PkgPath() == "time" || rows[path] != "" {
			return []string{path}
		}
		var paths []string
		for i := range t.NumField() {
			f := t.Field(i)
			p := path
			if !f.Anonymous {
				p = join(path, jsonName(f))
			}
			paths = append(paths, fieldPaths(f.Type, p, rows)...)
		}
		return paths
	}
	return []string{path}
}

// TestEveryFieldHasARow holds the tables to the types: the same fields, in
// the same order.
func TestEveryFieldHasARow(t *testing.T) {
	for _, tt := range []struct {
		typ  reflect.Type
		rows []fieldRow
	}{
		{reflect.TypeFor[ispec.Image](), imageFields[:]},
		{reflect.TypeFor[specs.Spec](), specFields[:]},
	} {
		classes := map[string]Class{}
		for _, r := range tt.rows {
			if classes[r.Path] != "" {
				t.Errorf("%v: two rows for %s", tt.typ, r.Path)
			}
			classes[r.Path] = r.Class
			if (r.Class == Refused) != (r.Effect != "") || r.How == "" || r.Class == "" {
				t.Errorf("%v: row %+v is not whole", tt.typ, r)
			}
		}
		var paths []string
		for _, p := range fieldPaths(tt.typ, "", classes) {
			if classes[p] == "" {
				t.Errorf("%v: no row for %s", tt.typ, p)
				continue
			}
			delete(classes, p)
			paths = append(paths, p)
		}
		for p := range classes {
			t.Errorf("%v: a row for %s, which is no field", tt.typ, p)
		}
		for i := range min(len(paths), len(tt.rows)) {
			if paths[i] != tt.rows[i].Path {
				t.Errorf("%v: row %d is %s, the type has %s there", tt.typ, i, tt.rows[i].Path, paths[i])
				break
			}
		}
	}
}

const conformanceHead = `# Conformance

What oci2bwrap does with every field of an image config (image-spec) and of a
runtime Spec (runtime-spec's config.json).

* **honoured**: as the specification says.
* **approximated**: in part; the text says which. It never stops a run.
* **refused**: not done. Where a Spec sets it, ` + "`oci2bwrap plan`" + ` lists a gap. One that
  weakens isolation stops the run unless ` + "`--allow-gap FIELD`" + ` names it; one that is
  merely not available stops it under ` + "`--strict`" + `.
* **irrelevant**: there is nothing to do on Linux, or at run time.

A row that is refused or irrelevant also stands for the fields below it. This
file is written by the tests of package convert from the table that the code
uses; do not edit it.
`

const parityHead = `
## Differences that parity explains

What ` + "`oci2bwrap parity`" + ` finds different between the sandbox and a container, and
why it is. Anything else is an unexplained difference. *Seen* counts the
differences that a row explained in 60 comparisons: a Debian, nginx, Redis,
PostgreSQL and busybox image and five of nix2container's, as layouts that export
has written, each against runc, crun and podman, as root and as a user with
subordinate ids; buildah, single ids, store paths where they lie and other flags are
not among them. A row with 0 is for these, as a network of the sandbox's own is, or
for another version of the reference. They are in
internal/parity/testdata/counts.json, the sums of the "rows" of parity's JSON. None
of the 60 had a difference without a row.

| Difference | Field | Against | Seen | Why |
|---|---|---|---|---|
`

// rowCounts is how often each row of parity explained a difference.
func rowCounts(t *testing.T) map[string]int {
	t.Helper()
	data, err := os.ReadFile("../internal/parity/testdata/counts.json")
	if err != nil {
		t.Fatal(err)
	}
	var counts map[string]int
	if err := json.Unmarshal(data, &counts); err != nil {
		t.Fatal(err)
	}
	return counts
}

func conformance(t *testing.T) []byte {
	var b bytes.Buffer
	b.WriteString(conformanceHead)
	for _, part := range []struct {
		title string
		rows  []fieldRow
	}{{"Image config", imageFields[:]}, {"Runtime Spec", specFields[:]}} {
		fmt.Fprintf(&b, "\n## %s\n\n| Field | | What happens |\n|---|---|---|\n", part.title)
		for _, r := range part.rows {
			class := string(r.Class)
			if r.Effect != "" {
				class += ", " + string(r.Effect)
			}
			how := r.How
			if r.Remedy != "" {
				how += " (" + r.Remedy + ")"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Path, class, strings.ReplaceAll(how, "|", `\|`))
		}
	}
	b.WriteString(parityHead)
	seen := rowCounts(t)
	for name := range seen {
		if !slices.ContainsFunc(parity.Rows(), func(r parity.Row) bool { return r.Name == name }) {
			t.Errorf("counts.json has %q, which is no row of parity's", name)
		}
	}
	for _, r := range parity.Rows() {
		against := strings.Join(r.Engines, ", ")
		if r.Engines == nil {
			against = "any"
		}
		if r.User {
			against += ", for an ordinary user"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %d | %s |\n", r.Name, r.Field, against, seen[r.Name], r.Why)
	}
	return b.Bytes()
}

func TestConformanceDocument(t *testing.T) {
	const file = "../docs/conformance.md"
	want := conformance(t)
	if *update {
		if err := os.MkdirAll("../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the table says (%v); run go test ./convert -run Conformance -update", file, err)
	}
}
