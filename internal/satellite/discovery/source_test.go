package discovery

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	discoveryv1beta1 "k8s.io/api/discovery/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestReadySliceV1(t *testing.T) {
	endpoint := func(addr string, ready, serving, terminating *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{addr}, Conditions: discoveryv1.EndpointConditions{Ready: ready, Serving: serving, Terminating: terminating}}
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "algo-foo-x", Labels: map[string]string{discoveryv1.LabelServiceName: "algo-foo"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{
			endpoint("10.0.0.1", new(true), new(true), new(false)),
			endpoint("10.0.0.2", new(false), new(false), new(false)),
			endpoint("10.0.0.3", nil, nil, nil),
			endpoint("10.0.0.4", new(false), new(true), new(true)),
			endpoint("10.0.0.5", new(true), new(true), new(true)), // publishNotReadyAddresses
			{Conditions: discoveryv1.EndpointConditions{Ready: new(true)}},
			{Addresses: []string{"10.0.0.6", "10.0.0.7"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}},
		},
	}
	if diff := cmp.Diff([]string{"10.0.0.1", "10.0.0.3", "10.0.0.6"}, sliceV1(isReady)(slice)); diff != "" {
		t.Errorf("readySliceV1 (-want +got):\n%s", diff)
	}
	if got := sliceService(slice); got != "algo-foo" {
		t.Errorf("sliceService = %q, want algo-foo", got)
	}
	slice.AddressType = discoveryv1.AddressTypeFQDN
	if got := sliceV1(isReady)(slice); got != nil {
		t.Errorf("readySliceV1 of names = %v, want none", got)
	}
}

func TestReadySliceV1beta1(t *testing.T) {
	slice := &discoveryv1beta1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Labels: map[string]string{discoveryv1beta1.LabelServiceName: "algo-foo"}},
		AddressType: discoveryv1beta1.AddressTypeIPv4,
		Endpoints: []discoveryv1beta1.Endpoint{
			{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1beta1.EndpointConditions{Ready: new(true)}},
			{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1beta1.EndpointConditions{Ready: new(false)}},
			{Addresses: []string{"10.0.0.3"}, Conditions: discoveryv1beta1.EndpointConditions{Ready: new(true), Terminating: new(true)}},
		},
	}
	if diff := cmp.Diff([]string{"10.0.0.1"}, sliceV1beta1(isReady)(slice)); diff != "" {
		t.Errorf("readySliceV1beta1 (-want +got):\n%s", diff)
	}
	if got := sliceService(slice); got != "algo-foo" {
		t.Errorf("sliceService = %q, want algo-foo", got)
	}
}

func TestReadyEndpoints(t *testing.T) {
	endpoints := &corev1.Endpoints{ //nolint:staticcheck // for old clusters
		ObjectMeta: metav1.ObjectMeta{Name: "algo-foo"},
		Subsets: []corev1.EndpointSubset{ //nolint:staticcheck // for old clusters
			{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}, {IP: "10.0.0.2"}}, NotReadyAddresses: []corev1.EndpointAddress{{IP: "10.0.0.3"}}},
			{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.4"}}},
		},
	}
	if diff := cmp.Diff([]string{"10.0.0.1", "10.0.0.2", "10.0.0.4"}, readyEndpoints(endpoints)); diff != "" {
		t.Errorf("readyEndpoints (-want +got):\n%s", diff)
	}
	if got := endpointsService(endpoints); got != "algo-foo" {
		t.Errorf("endpointsService = %q, want algo-foo", got)
	}
}

func TestOneFamily(t *testing.T) {
	for _, test := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"10.0.0.2", "10.0.0.1", "10.0.0.2"}, []string{"10.0.0.1", "10.0.0.2"}},
		{[]string{"fd00::1", "10.0.0.1"}, []string{"10.0.0.1"}},
		{[]string{"fd00::2", "fd00::1"}, []string{"fd00::1", "fd00::2"}},
	} {
		if diff := cmp.Diff(test.want, oneFamily(test.in)); diff != "" {
			t.Errorf("oneFamily(%v) (-want +got):\n%s", test.in, diff)
		}
	}
}

type servedAPIs map[string]error

func (s servedAPIs) ServerResourcesForGroupVersionWithContext(_ context.Context, groupVersion string) (*metav1.APIResourceList, error) {
	err, ok := s[groupVersion]
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{}, groupVersion)
	}
	return &metav1.APIResourceList{APIResources: []metav1.APIResource{{Name: "endpointslices"}}}, err
}

func TestChooseAPI(t *testing.T) {
	away := errors.New("connection refused")
	for _, test := range []struct {
		name   string
		server servedAPIs
		want   string
		err    error
	}{
		{"1.37", servedAPIs{apiSliceV1: nil}, apiSliceV1, nil},
		{"1.21", servedAPIs{apiSliceV1: nil, apiSliceV1beta1: nil}, apiSliceV1, nil},
		{"1.18", servedAPIs{apiSliceV1beta1: nil}, apiSliceV1beta1, nil},
		{"1.16", servedAPIs{}, apiEndpoints, nil},
		{"away", servedAPIs{apiSliceV1: away}, "", away},
	} {
		got, err := chooseAPI(t.Context(), test.server)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: chooseAPI = %q, %v, want %q, %v", test.name, got, err, test.want, test.err)
		}
	}
}
