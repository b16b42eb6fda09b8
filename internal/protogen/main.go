// Command protogen regenerates the Go code of the project's .proto files:
//
//	go run ./internal/protogen
//
// It needs no protoc. The files are compiled in process and handed to the two
// plugins that go.mod pins as tools, protoc-gen-go and protoc-gen-go-vtproto.
// With -check nothing is written; the exit code is 1 when a generated file is
// not what its .proto says.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// source is a set of .proto files of one Go package and what vtprotobuf is to
// make for it beside the standard code.
type source struct {
	files   []string // paths from the module's root, in the order of their imports
	vtproto string   // features, joined by +
}

// sources are all the .proto files of the project.
var sources = []source{
	{
		files:   []string{"eventstore/wire/ledger.proto", "eventstore/wire/audit.proto"},
		vtproto: "marshal+unmarshal_unsafe+size",
	},
}

func main() {
	check := flag.Bool("check", false, "write nothing; exit 1 when generated code is stale")
	flag.Parse()
	if err := run(context.Background(), *check); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	var stale []error
	for _, s := range sources {
		generated, err := generate(ctx, root, s)
		if err != nil {
			return err
		}
		for _, f := range generated {
			path := filepath.Join(root, filepath.FromSlash(f.GetName()))
			if check {
				if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, []byte(f.GetContent())) {
					stale = append(stale, fmt.Errorf("%s is stale; run go run ./internal/protogen", f.GetName()))
				}
				continue
			}
			if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
				return err
			}
		}
	}
	return errors.Join(stale...)
}

// moduleRoot returns the nearest directory at or above the working directory
// that holds a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above; run it inside the module")
		}
		dir = parent
	}
}

func generate(ctx context.Context, root string, s source) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{root}}),
		SourceInfoMode: protocompile.SourceInfoStandard, // for the comments
	}
	compiled, err := compiler.Compile(ctx, s.files...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: s.files}
	seen := map[string]bool{}
	for _, f := range compiled {
		request.ProtoFile = appendWithImports(request.ProtoFile, f, seen)
	}

	const paths = "paths=source_relative"
	files, err := plugin(ctx, root, "protoc-gen-go", paths, request)
	if err != nil {
		return nil, err
	}
	more, err := plugin(ctx, root, "protoc-gen-go-vtproto", paths+",features="+s.vtproto, request)
	if err != nil {
		return nil, err
	}
	return append(files, more...), nil
}

// appendWithImports appends the descriptors of f's imports and then f's, each
// once: a plugin wants them in that order.
func appendWithImports(all []*descriptorpb.FileDescriptorProto, f protoreflect.FileDescriptor, seen map[string]bool) []*descriptorpb.FileDescriptorProto {
	if seen[f.Path()] {
		return all
	}
	seen[f.Path()] = true
	imports := f.Imports()
	for i := range imports.Len() {
		all = appendWithImports(all, imports.Get(i).FileDescriptor, seen)
	}
	return append(all, protoutil.ProtoFromFileDescriptor(f))
}

// plugin speaks the protocol of protoc with one tool of go.mod: a request on
// its standard input, a response on its standard output.
func plugin(ctx context.Context, root, tool, parameters string, request *pluginpb.CodeGeneratorRequest) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	request.Parameter = proto.String(parameters)
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", tool)
	cmd.Dir, cmd.Stdin, cmd.Stderr = root, bytes.NewReader(input), os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output, response); err != nil {
		return nil, fmt.Errorf("%s answered with something else than a response: %w", tool, err)
	}
	if response.Error != nil {
		return nil, fmt.Errorf("%s: %s", tool, response.GetError())
	}
	return response.File, nil
}
