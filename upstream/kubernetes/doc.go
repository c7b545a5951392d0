// Package kubernetes follows the endpoints of Services: a list of their EndpointSlices (discovery.k8s.io/v1), then a watch of what changes, for as long as somebody wants to know. What the API server said last holds until it
// says something else, however long it is away.
//
// It speaks the few words of the API that this takes, with the token and the roots of a pod's service account, both read anew for each request because kubelet replaces them. It refuses to write, to follow redirects with the
// token, to read answers without end, and to know what its endpoints are for.
package kubernetes
