// Command apiserver132 is kube-apiserver v1.32.2, an older API server to test
// against. It takes kube-apiserver's flags, after that name as in kube.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "kube-apiserver" {
		os.Args = os.Args[1:]
	}
	os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
}
