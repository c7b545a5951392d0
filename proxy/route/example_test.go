package route_test

import (
	"fmt"

	"github.com/valor-ivx/weir/proxy/route"
)

func ExampleTable_Explain() {
	table, err := route.New([]route.Rule{
		{Name: "health", Kind: route.Exact, Path: "/api/health"},
		{Name: "api", Path: "/api"},
		{Name: "web", Path: "/"},
		{Name: "internal", Hosts: []string{"*.corp.example"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	path, err := route.Canonical(nil, []byte("/static/%2e%2e/api/dcf"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", path)
	for _, step := range table.Explain([]byte("example.com"), path) {
		fmt.Printf("%-8s %-5v %s\n", step.Name, step.Chosen, step.Reason)
	}
	// Output:
	// /api/dcf
	// health   false the path is not equal
	// api      true  longest prefix: the path is at or below /api
	// web      false would match, but route "api" comes first
	// internal false host example.com does not match
}
