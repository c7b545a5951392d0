package configs

import "time"

// Shadow asks another group what the service has answered, and tells where the answers differ (weir shadow SERVICE). A share of the requests is asked again once their own
// answers have been sent: the group that answers, the one that is tried, and the first again, because what differs between its two answers is noise. Only GET, HEAD and OPTIONS
// without a body are, with the field X-Weir-Shadow, which no client can send. They count nowhere but in metrics of their own. Nothing is asked while the service's requests
// wait or are shed, while it is paused, or while one of the groups has no healthy target.
type Shadow struct {
	// The group that is tried. It needs no weight.
	To string `toml:"to" required:"true"`
	// The group it is compared with. Default: the only other one.
	From string `toml:"from"`
	// Share of the requests that are asked again, in percent, two decimals.
	Share Weight `toml:"share" default:"1"`
	// At most so many requests, as in a limit's rate. Each costs from two requests and to one.
	Rate Rate `toml:"rate" default:"10/s"`
	// Requests that are asked again at a time. 64 more wait; what comes beyond is dropped.
	Concurrency int `toml:"concurrency" default:"2" min:"1" max:"64"`
	// Longest wait for one answer, from the dial to its last byte.
	Timeout time.Duration `toml:"timeout" default:"5s" min:"1ms" max:"5m"`
	// Longer bodies are not compared, from 1KiB to 8MiB.
	MaxBody Size `toml:"max_body" default:"256KiB"`
	// true: also requests that say who they are from: with Authorization, Cookie, a client's certificate, a login, or a field or parameter that by its name is a secret.
	Credentials bool `toml:"credentials" default:"false"`
	// Fields of answers that are compared beside status and body.
	CompareHeaders []string `toml:"compare_headers" default:"Content-Type"`
	// Places of JSON bodies that are not compared, each with all below it: "$.generated_at", "$.items[].id"; [] is any element, * any key.
	IgnorePaths []string `toml:"ignore_paths"`
	// true: samples show the beginning of strings in place of their length. What is a secret by its name is masked all the same.
	ShowStrings bool `toml:"show_strings" default:"false"`
}
