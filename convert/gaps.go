package convert

import (
	"fmt"
	"reflect"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Gaps lists what of a Spec can't be honoured whatever the host is, in the
// order of the Spec's fields, and what is honoured in part, where that differs
// from what the Specs of this package rely on.
//
// A Gap's Field names a mount by its destination and other list elements by
// their index: "mounts[/data].uidMappings", "linux.namespaces[2].path".
func Gaps(s *specs.Spec) ([]Gap, []Note) {
	g := &gapFinder{spec: s}
	g.walk("", "", reflect.ValueOf(s))
	g.values()
	return g.gaps, g.notes
}

type gapFinder struct {
	spec  *specs.Spec
	gaps  []Gap
	notes []Note
}

func (g *gapFinder) lacks(field, reason string) {
	g.gaps = append(g.gaps, Gap{Field: field, Effect: Lacks, Reason: reason})
}

func (g *gapFinder) note(field, format string, args ...any) {
	g.notes = append(g.notes, Note{Field: field, Text: fmt.Sprintf(format, args...)})
}

// walk descends to the set fields that have a row. path is the table's, name
// the one to show.
func (g *gapFinder) walk(path, name string, v reflect.Value) {
	if row := refusal(path); row != nil {
		if !g.harmless(path, v) {
			g.gaps = append(g.gaps, Gap{Field: name, Effect: row.Effect, Reason: row.How, Remedy: row.Remedy})
		}
		return
	}
	if !refusalBelow(path) {
		return // a seccomp profile has hundreds of names
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			g.walk(path, name, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			key := fmt.Sprint(i)
			if m, ok := v.Index(i).Interface().(specs.Mount); ok {
				key = m.Destination
			}
			g.walk(path+"[]", name+"["+key+"]", v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); !f.IsZero() && !(f.Kind() == reflect.Slice && f.Len() == 0) {
				key := jsonName(v.Type().Field(i))
				g.walk(join(path, key), join(name, key), f)
			}
		}
	}
}

// refusal gives the row of a refused field.
func refusal(path string) *fieldRow {
	for i := range specFields {
		if row := &specFields[i]; row.Class == Refused && row.Path == path {
			return row
		}
	}
	return nil
}

// refusalBelow says whether a field below path is refused.
func refusalBelow(path string) bool {
	for i := range specFields {
		rest, ok := strings.CutPrefix(specFields[i].Path, path)
		if ok && specFields[i].Class == Refused && (path == "" || strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "[]")) {
			return true
		}
	}
	return false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// harmless tells a value of a refused field that asks for nothing, or for
// what is so anyway.
func (g *gapFinder) harmless(path string, v reflect.Value) bool {
	switch x := v.Interface().(type) {
	case *specs.LinuxMemory:
		y := *x
		//lint:ignore SA1019 bundles still set the kernel's own limit
		for _, limit := range []**int64{&y.Limit, &y.Reservation, &y.Swap, &y.Kernel, &y.KernelTCP} {
			if *limit != nil && **limit <= 0 {
				*limit = nil // unlimited
			}
		}
		if y.DisableOOMKiller != nil && !*y.DisableOOMKiller {
			y.DisableOOMKiller = nil
		}
		return y == specs.LinuxMemory{CheckBeforeUpdate: y.CheckBeforeUpdate, UseHierarchy: y.UseHierarchy}
	case *specs.LinuxPids:
		return x.Limit == nil || *x.Limit <= 0
	case *specs.Hooks, *specs.LinuxCPU, *specs.LinuxBlockIO, *specs.LinuxNetwork:
		return emptyStruct(v.Elem())
	case string:
		return path == "process.apparmorProfile" && x == "unconfined"
	}
	return v.Kind() == reflect.Map && v.Len() == 0
}

// emptyStruct is true for a struct of nils and empty lists.
func emptyStruct(v reflect.Value) bool {
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.IsZero() && !(f.Kind() == reflect.Slice && f.Len() == 0) {
			return false
		}
	}
	return true
}
