// Package validate holds what ships below configs/deploy to account: that every file says what its reader understands, and that what it names exists. It is a module of its own, so that
// the readers (Prometheus, Kubernetes) do not become requirements of the product, and consists of tests.
package validate
