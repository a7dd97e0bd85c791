package marker

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

func TestTheConfigMap(t *testing.T) {
	t.Parallel()
	config, err := clientcmd.BuildConfigFromFlags("", kubetest.StartAPIServer(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	one, err := New(config, "default", "execution-engine-queue")
	if err != nil {
		t.Fatal(err)
	}
	two, err := New(config, "default", "execution-engine-queue")
	if err != nil {
		t.Fatal(err)
	}
	// The installer makes it; where it did not, the first engine does.
	for _, name := range []string{"by the engine", "by the installer"} {
		if name == "by the installer" {
			if err := one.maps.Delete(ctx, one.name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: one.name, Labels: map[string]string{"a": "b"}}, Data: map[string]string{"other": "stays"}}
			if _, err := one.maps.Create(ctx, object, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		first, err := one.Load(ctx)
		if err != nil || first.Incarnation != "" {
			t.Fatalf("%s: nothing there yet: %+v, %v", name, first, err)
		}
		late, err := two.Load(ctx)
		if err != nil {
			t.Fatal(err)
		}
		first.Incarnation, first.Made, first.Outstanding = "first", true, 7
		first.Observed = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
		first.Losses = []queue.Loss{{At: first.Observed, Calls: 3, Incarnation: "zeroth"}}
		if err := one.Save(ctx, first); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		late.Incarnation = "late"
		if err := two.Save(ctx, late); !errors.Is(err, queue.ErrConflict) {
			t.Errorf("%s: save over a newer one: %v, want ErrConflict", name, err)
		}
		got, err := two.Load(ctx)
		if diff := cmp.Diff(first, got, cmpopts.IgnoreFields(queue.MarkerState{}, "Version")); diff != "" || err != nil {
			t.Errorf("%s: loaded (-want +got): %v\n%s", name, err, diff)
		}
		got.Outstanding = 8
		if err := two.Save(ctx, got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	object, err := one.maps.Get(ctx, one.name, metav1.GetOptions{})
	if err != nil || object.Data["other"] != "stays" || object.Labels["a"] != "b" {
		t.Errorf("the rest of the object: %+v, %v", object, err)
	}
	object.Data[Key] = "{"
	if _, err := one.maps.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Load(ctx); err == nil {
		t.Error("a broken state is taken for none")
	}
}
