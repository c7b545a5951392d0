package configs_test

import (
	"fmt"

	"github.com/valor-ivx/weir/configs"
)

// Every mistake is found at once, at its place.
func ExampleParse() {
	_, err := configs.Parse("weir.toml", []byte(`[[listener]]
address = "127.0.0.1"
tsl = true

[[route]]
service = "ap"

[service.api.group.blue]
targets = ["${BLUE}"]
`), configs.Options{})
	fmt.Println(err)
	// Output:
	// weir.toml:2:11: address "127.0.0.1" has no port: write HOST:PORT
	// weir.toml:3:1: unknown key "tsl"; did you mean "tls"?
	// weir.toml:6:11: service "ap" does not exist: there is no [service.ap]; did you mean "api"?
	// weir.toml:9:12: targets: environment variable BLUE is not set (${BLUE:-default} gives it one)
}

func ExampleDiff() {
	file := func(blue, green int) *configs.Config {
		cfg, err := configs.Parse("weir.toml", fmt.Appendf(nil, `[[listener]]
address = "127.0.0.1:8080"
[[route]]
service = "api"
[service.api.group.blue]
weight = %d
targets = ["127.0.0.1:5002"]
[service.api.group.green]
weight = %d
targets = ["127.0.0.1:5003"]
`, blue, green), configs.Options{})
		if err != nil {
			panic(err)
		}
		return cfg
	}
	for _, line := range configs.Diff(file(100, 0), file(75, 25)) {
		fmt.Println(line)
	}
	// Output:
	// service.api.group.blue.weight: 100 → 75
	// service.api.group.green.weight: 0 → 25
}
