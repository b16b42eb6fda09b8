package vault

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"testing"
	"time"

	"bahi/domain"
)

// eachChange calls f with copies of s in each of which one leaf has another
// value: every text, number, flag and byte, every element of a list, and every
// list a bit longer and a bit shorter.
func eachChange(t *testing.T, s domain.Submission, f func(leaf string, changed domain.Submission)) {
	root := reflect.New(reflect.TypeOf(s)).Elem()
	root.Set(reflect.ValueOf(s))
	var walk func(name string, v reflect.Value)
	try := func(name string, v, other reflect.Value) {
		before := reflect.New(v.Type()).Elem()
		before.Set(v)
		v.Set(other)
		f(name, root.Interface().(domain.Submission))
		v.Set(before)
	}
	walk = func(name string, v reflect.Value) {
		if at, ok := v.Interface().(time.Time); ok {
			try(name+" by a nanosecond", v, reflect.ValueOf(at.Add(1)))
			try(name+" by a year", v, reflect.ValueOf(at.AddDate(1, 0, 0)))
			return
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				walk(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Array:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", name, i), v.Index(i))
			}
		case reflect.Slice:
			try(name+" without its last", v, v.Slice(0, v.Len()-1))
			try(name+" with one more", v, reflect.Append(v.Slice3(0, v.Len(), v.Len()), reflect.Zero(v.Type().Elem())))
			list := reflect.AppendSlice(reflect.Zero(v.Type()), v) // not shared with s
			v.Set(list)
			for i := range list.Len() {
				walk(fmt.Sprintf("%s[%d]", name, i), list.Index(i))
			}
		case reflect.String:
			try(name+" empty", v, reflect.Zero(v.Type()))
			try(name+" longer", v, reflect.ValueOf(v.String()+"0").Convert(v.Type()))
		case reflect.Bool:
			try(name, v, reflect.ValueOf(!v.Bool()))
		case reflect.Int, reflect.Int32:
			try(name, v, reflect.ValueOf(v.Int()+1).Convert(v.Type()))
		case reflect.Uint8, reflect.Uint16:
			try(name, v, reflect.ValueOf(v.Uint()+1).Convert(v.Type()))
		default:
			t.Fatalf("%s is a %s: teach this test to change it", name, v.Kind())
		}
	}
	walk(fmt.Sprintf("%T", s), root)
}

func TestSubmissionDigestCoversEveryField(t *testing.T) {
	t.Parallel()
	v := fixedPepper()
	seen := map[domain.Digest]string{}
	unique := func(name string, s domain.Submission) {
		if name == "domain.Registration.Restated" {
			return // how it is sent, not what it says
		}
		d := v.SubmissionDigest(s)
		if other, ok := seen[d]; ok {
			t.Errorf("the same digest: %s; %s", name, other)
		}
		seen[d] = name
	}
	for _, s := range submissions(t) {
		unique(fmt.Sprintf("%T", s), s)
		eachChange(t, s, unique)
	}
	if len(seen) < 150 {
		t.Errorf("only %d digests compared: leaves were missed", len(seen))
	}
}

// Every kind of submission in package domain is among those that the other tests
// try.
func TestSubmissionsAreComplete(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for _, s := range submissions(t) {
		kinds[reflect.TypeOf(s).Name()] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../domain/submission.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "submission" {
			found++
			if name := f.Recv.List[0].Type.(*ast.Ident).Name; !kinds[name] {
				t.Errorf("no test of the digest of a %s", name)
			}
		}
	}
	if found != len(kinds) {
		t.Errorf("%d kinds in the domain, %d here", found, len(kinds))
	}
}

func TestRegistrationDigest(t *testing.T) {
	t.Parallel()
	v := fixedPepper()
	r := submissions(t)[0].(domain.Registration)
	want := v.RegistrationDigest(r)
	eachChange(t, r, func(leaf string, s domain.Submission) {
		changed := s.(domain.Registration)
		content := changed.Heading == r.Heading && changed.Person == r.Person && changed.Restated == r.Restated
		if (v.RegistrationDigest(changed) != want) != content {
			t.Errorf("%s: content %v", leaf, content)
		}
	})
}

func TestDigestIsUnambiguous(t *testing.T) {
	t.Parallel()
	v := fixedPepper()
	a := submissions(t)[1].(domain.DoseGiven)
	b := a
	a.Centre, a.Batch = "208001", "4"
	b.Centre, b.Batch = "20800", "14"
	if v.SubmissionDigest(a) == v.SubmissionDigest(b) {
		t.Error("a character moved from one field to the next unnoticed")
	}
	b = a
	b.At = a.At.UTC()
	if v.SubmissionDigest(a) != v.SubmissionDigest(b) {
		t.Error("the same instant in another zone is other content")
	}
}
