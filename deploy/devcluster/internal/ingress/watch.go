package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	networking "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/controller"
)

// settle is how long a burst of changes is gathered before nginx reloads.
const settle = 100 * time.Millisecond

// Watch keeps nginx and the status of the Ingress objects up to date until
// ctx ends. Trouble with one configuration is said on log and tried again.
func Watch(ctx context.Context, client kubernetes.Interface, nginx *Nginx, log io.Writer) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	return controller.Run(ctx, controller.Controller{
		Name: "ingress", Retry: 2 * time.Second, Log: log,
		Prepare: func(ctx context.Context) error { return createClass(ctx, client) },
		Update: func(ctx context.Context) error {
			settled(ctx)
			return update(ctx, client, factory, nginx)
		},
	}, factory, factory.Networking().V1().Ingresses().Informer(), factory.Core().V1().Services().Informer(),
		factory.Discovery().V1().EndpointSlices().Informer(), factory.Core().V1().Secrets().Informer())
}

func settled(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(settle):
	}
}

func update(ctx context.Context, client kubernetes.Interface, factory informers.SharedInformerFactory, nginx *Nginx) error {
	objects, err := list(factory)
	if err != nil {
		return err
	}
	if err := nginx.Apply(ctx, Generate(objects, Place{Dir: nginx.Dir, Address: nginx.Address})); err != nil {
		return err
	}
	var errs []error
	for _, ing := range objects.Ingresses {
		if Served(ing) {
			errs = append(errs, setStatus(ctx, client, ing, nginx.Address))
		}
	}
	return errors.Join(errs...)
}

func list(factory informers.SharedInformerFactory) (o Objects, err error) {
	all := labels.Everything()
	if o.Ingresses, err = factory.Networking().V1().Ingresses().Lister().List(all); err != nil {
		return o, fmt.Errorf("list ingresses: %w", err)
	}
	if o.Services, err = factory.Core().V1().Services().Lister().List(all); err != nil {
		return o, fmt.Errorf("list services: %w", err)
	}
	if o.Slices, err = factory.Discovery().V1().EndpointSlices().Lister().List(all); err != nil {
		return o, fmt.Errorf("list endpoint slices: %w", err)
	}
	if o.Secrets, err = factory.Core().V1().Secrets().Lister().List(all); err != nil {
		return o, fmt.Errorf("list secrets: %w", err)
	}
	return o, nil
}

func setStatus(ctx context.Context, client kubernetes.Interface, ing *networking.Ingress, address string) error {
	if now := ing.Status.LoadBalancer.Ingress; len(now) == 1 && now[0].IP == address {
		return nil
	}
	changed := ing.DeepCopy()
	changed.Status.LoadBalancer.Ingress = []networking.IngressLoadBalancerIngress{{IP: address}}
	_, err := client.NetworkingV1().Ingresses(ing.Namespace).UpdateStatus(ctx, changed, meta.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) { // a newer object is on its way to us
		return fmt.Errorf("set status of ingress %s/%s: %w", ing.Namespace, ing.Name, err)
	}
	return nil
}

func createClass(ctx context.Context, client kubernetes.Interface) error {
	class := &networking.IngressClass{
		ObjectMeta: meta.ObjectMeta{Name: Class},
		Spec:       networking.IngressClassSpec{Controller: "constellation.devcluster/nginx"},
	}
	_, err := client.NetworkingV1().IngressClasses().Create(ctx, class, meta.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create ingress class %s: %w", Class, err)
	}
	return nil
}
