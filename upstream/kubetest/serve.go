package kubetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	if code, reason, message := a.judge(r); code != 0 {
		refuse(w, code, reason, message)
		return
	}
	service := strings.TrimPrefix(r.URL.Query().Get("labelSelector"), "kubernetes.io/service-name=")
	namespace := strings.Split(r.URL.Path, "/")[5]
	if r.URL.Query().Get("watch") == "" {
		a.list(w, namespace, service)
		return
	}
	a.watch(w, r, viewer{namespace: namespace, service: service})
}

// judge says what is wrong with a request; 0: nothing.
func (a *API) judge(r *http.Request) (code int, reason, message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	part := strings.Split(r.URL.Path, "/")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+a.token:
		return http.StatusUnauthorized, "Unauthorized", "Unauthorized"
	case a.refuse != 0:
		return a.refuse, "InternalError", "an error on the server"
	case r.Method != http.MethodGet || len(part) != 7 || !strings.HasPrefix(r.URL.Path, "/apis/discovery.k8s.io/v1/namespaces/") || part[6] != "endpointslices":
		return http.StatusNotFound, "NotFound", "the server could not find the requested resource"
	case a.forbidden:
		return http.StatusForbidden, "Forbidden", `endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:default:weir" cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "` + part[5] + `"`
	}
	watch := r.URL.Query().Get("watch") != ""
	for key, value := range r.URL.Query() {
		switch {
		case key == "labelSelector" && strings.HasPrefix(value[0], "kubernetes.io/service-name="):
		case watch && key == "watch" && value[0] == "true", watch && key == "allowWatchBookmarks" && value[0] == "true":
		case watch && (key == "resourceVersion" || key == "timeoutSeconds") && number(value[0]) > 0:
		default:
			return http.StatusBadRequest, "BadRequest", "unknown: " + key + "=" + value[0]
		}
	}
	return 0, "", ""
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_, _ = io.WriteString(w, failure(code, reason, message))
}

func failure(code int, reason, message string) string {
	text, _ := json.Marshal(message) // strings always encode
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%s,"reason":%q,"code":%d}`, text, reason, code) + "\n"
}

func (a *API) list(w http.ResponseWriter, namespace, service string) {
	a.mu.Lock()
	a.lists++
	items := []map[string]any{}
	var keys []string
	for key := range a.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if s := a.objects[key]; s.Namespace == namespace && s.Service == service {
			o := s.object(a.version)
			delete(o, "kind") // as of all items of lists
			delete(o, "apiVersion")
			items = append(items, o)
		}
	}
	body, _ := json.Marshal(map[string]any{
		"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version)}, "items": items,
	})
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// viewer is one watch.
type viewer struct {
	api                *API
	namespace, service string
	from               int // the version that it knows
	obeyed             int // orders that it need not obey any more
}

// watch tells what has changed since a version, and what changes.
func (a *API) watch(w http.ResponseWriter, r *http.Request, v viewer) {
	v.api, v.from = a, number(r.URL.Query().Get("resourceVersion"))
	timer := time.NewTimer(time.Duration(number(r.URL.Query().Get("timeoutSeconds"))) * time.Second)
	defer timer.Stop()
	a.mu.Lock()
	if v.from < a.compacted {
		expired, byEvent := failure(http.StatusGone, "Expired", fmt.Sprintf("too old resource version: %d (%d)", v.from, a.compacted)), a.gone == "event"
		a.mu.Unlock()
		if byEvent {
			_, _ = io.WriteString(w, `{"type":"ERROR","object":`+strings.TrimSpace(expired)+"}\n")
			return
		}
		w.WriteHeader(http.StatusGone)
		_, _ = io.WriteString(w, expired)
		return
	}
	a.watches++
	a.open++
	v.obeyed = len(a.orders)
	stopped := a.stopped
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.open--
		a.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	_ = flush()
	for {
		text, end, more := v.next()
		_, _ = io.WriteString(w, text)
		_ = flush()
		switch end {
		case "end":
			return
		case "cut":
			panic(http.ErrAbortHandler)
		}
		select {
		case <-more:
		case <-timer.C:
			return
		case <-stopped:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// next is what is to be written now, the order that ends the watch, and what is closed when there is more.
func (v *viewer) next() (text, end string, more chan struct{}) {
	a := v.api
	a.mu.Lock()
	defer a.mu.Unlock()
	var b strings.Builder
	for _, c := range a.changes {
		if c.version > v.from && c.slice.Namespace == v.namespace && c.slice.Service == v.service {
			event, _ := json.Marshal(map[string]any{"type": c.kind, "object": c.slice.object(c.version)})
			b.Write(append(event, '\n'))
		}
	}
	v.from = a.version
	for ; v.obeyed < len(a.orders) && end == ""; v.obeyed++ {
		switch o := a.orders[v.obeyed]; o.kind {
		case "write":
			b.WriteString(o.text)
		case "cut":
			b.WriteString(`{"type":"MODIFIED","object":{"kind":"Endp`)
			end = o.kind
		default:
			end = o.kind
		}
	}
	return b.String(), end, a.more
}

// object is the slice as the API writes it, with what the real one has besides.
func (s Slice) object(version int) map[string]any {
	ports := []map[string]any{}
	for _, p := range s.Ports {
		port := map[string]any{"name": p.Name, "protocol": "TCP"}
		if p.Protocol != "" {
			port["protocol"] = p.Protocol
		}
		if p.Number != 0 {
			port["port"] = p.Number
		}
		ports = append(ports, port)
	}
	var pods []map[string]any // null where there is none
	for _, p := range s.Pods {
		conditions := p.Conditions
		if conditions == nil {
			conditions = map[string]bool{"ready": true, "serving": true, "terminating": false}
		}
		pod := map[string]any{"addresses": []string{p.Address}, "conditions": conditions, "nodeName": "node-1", "zone": "a", "hints": map[string]any{"forZones": []map[string]any{{"name": "a"}}}}
		if p.UID != "" {
			pod["targetRef"] = map[string]any{"kind": "Pod", "namespace": s.Namespace, "name": "pod-" + p.UID, "uid": p.UID}
		}
		pods = append(pods, pod)
	}
	family := s.Type
	if family == "" {
		family = "IPv4"
	}
	return map[string]any{
		"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": family, "endpoints": pods, "ports": ports,
		"metadata": map[string]any{
			"name": s.Name, "namespace": s.Namespace, "uid": "0e5c5f24-5d0b-4b0f-8a0e-3a0d9c1d1b7a", "resourceVersion": strconv.Itoa(version), "generation": 7, "creationTimestamp": "2026-11-23T14:00:00Z",
			"labels":        map[string]string{"kubernetes.io/service-name": s.Service, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
			"managedFields": []map[string]any{{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "discovery.k8s.io/v1", "fieldsType": "FieldsV1"}},
		},
	}
}
