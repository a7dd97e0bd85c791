package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/stack"
)

// keepsSecret runs configure --secret KEY - with a value, which then is in the
// cluster, and takes it back.
func (g *guide) keepsSecret(t *testing.T, words []string) error {
	const value = "a token\nof two lines"
	put := stack.Command{Args: append([]string{filepath.Join(g.Bin, "algo-install")}, words...), Env: g.OperatorEnv(), Stdin: value + "\n"}
	out, err := put.Run(t.Context())
	if err != nil {
		return err
	}
	rest, _ := strings.CutPrefix(words[slices.Index(words, "--secret")+1], "stage.env.")
	dot := strings.LastIndexByte(rest, '.')
	secret, err := g.kube.CoreV1().Secrets(namespace).Get(t.Context(), render.SecretsName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if got := string(secret.Data[render.SecretKey(rest[:dot], rest[dot+1:])]); got != value || strings.Contains(out, "two lines") {
		return fmt.Errorf("the cluster has %q, and it prints %q; want %q there alone", got, out, value)
	}
	put.Args = put.Args[:len(put.Args)-1]
	if out, err = put.Run(t.Context()); err == nil && !strings.Contains(out, "is no secret any more") {
		err = fmt.Errorf("without -, it prints %q", out)
	}
	return err
}
