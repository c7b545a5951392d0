# shellcheck shell=bash
# deploy.sh by kubectl. NAMESPACE is weir-ENVIRONMENT; IMAGE (ghcr.io/valor-ivx/valor-api) is the API's image without its tag. Weights are steered in one pod of the edge; with
# [cluster], which production has, its replicas follow.
namespace=${NAMESPACE:-weir-${environment:?}}
repository=${IMAGE:-ghcr.io/valor-ivx/valor-api}

kube() { kubectl --namespace "$namespace" "$@"; }
weir() { kube exec deployment/weir --container weir -- /usr/bin/weir "$@"; }
image_of() { echo "$repository:$1"; }
image() { kube get deployment "valor-api-$1" -o 'jsonpath={.spec.template.spec.containers[?(@.name=="valor-api")].image}'; }
apply() { change kube set image "deployment/valor-api-$1" "valor-api=$(image_of "$2")"; }
ready() { change kube rollout status "deployment/valor-api-$1" --timeout "${ready_timeout:?}"; }
undo() { kube rollout undo "deployment/valor-api-$1"; }
