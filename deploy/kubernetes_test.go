package deploy_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// objects are what kustomize makes of the directory, read strictly into the types of Kubernetes' own API: a field that
// does not exist, or is of another type, is an error.
func objects(t *testing.T) map[string]runtime.Object {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "kubernetes")
	if err != nil {
		t.Fatalf("kustomize build: %v", err)
	}
	all := map[string]runtime.Object{}
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		name := resource.GetKind() + "/" + resource.GetName()
		object := emptyObject(resource.GetApiVersion() + "/" + resource.GetKind())
		if object == nil {
			t.Fatalf("%s: nothing is known of %s", name, resource.GetApiVersion())
		}
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if resource.GetKind() != "Namespace" && resource.GetNamespace() != "heartbeat" {
			t.Errorf("%s is in the namespace %q", name, resource.GetNamespace())
		}
		all[name] = object
	}
	return all
}

func emptyObject(kind string) runtime.Object {
	switch kind {
	case "v1/Namespace":
		return &corev1.Namespace{}
	case "v1/ServiceAccount":
		return &corev1.ServiceAccount{}
	case "v1/ConfigMap":
		return &corev1.ConfigMap{}
	case "v1/Service":
		return &corev1.Service{}
	case "apps/v1/Deployment":
		return &appsv1.Deployment{}
	case "batch/v1/Job":
		return &batchv1.Job{}
	case "policy/v1/PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}
	case "networking.k8s.io/v1/NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	default:
		return nil
	}
}

// pods returns the pods of all workloads.
func pods(t *testing.T) map[string]corev1.PodTemplateSpec {
	t.Helper()
	all := map[string]corev1.PodTemplateSpec{}
	for name, object := range objects(t) {
		switch object := object.(type) {
		case *appsv1.Deployment:
			all[name] = object.Spec.Template
		case *batchv1.Job:
			all[name] = object.Spec.Template
		}
	}
	return all
}

func TestManifestsAreWhatKubernetesTakes(t *testing.T) {
	t.Parallel()
	all := objects(t)
	for _, name := range []string{
		"Namespace/heartbeat", "ServiceAccount/heartbeat", "Job/heartbeat-migrate", "Deployment/heartbeat-consume", "Deployment/heartbeat-serve", "Deployment/heartbeat-notify",
		"Deployment/heartbeat-ingest", "Service/heartbeat-ingest", "PodDisruptionBudget/heartbeat-ingest", "Service/heartbeat-serve", "PodDisruptionBudget/heartbeat-consume", "NetworkPolicy/heartbeat-nothing-else",
	} {
		if all[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	for name, pod := range pods(t) {
		for _, source := range pod.Spec.Containers[0].EnvFrom {
			if all["ConfigMap/"+source.ConfigMapRef.Name] == nil {
				t.Errorf("%s takes its settings from %s, which does not exist", name, source.ConfigMapRef.Name)
			}
		}
		if image := pod.Spec.Containers[0].Image; !strings.Contains(image, "/heartbeat:1.") {
			t.Errorf("%s runs the image %s", name, image)
		}
	}
}

func TestPodsAreLockedDown(t *testing.T) {
	t.Parallel()
	for name, pod := range pods(t) {
		security, container := pod.Spec.SecurityContext, pod.Spec.Containers[0]
		if !*security.RunAsNonRoot || *security.RunAsUser != 65532 || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: %+v", name, security)
		}
		inner := container.SecurityContext
		if !*inner.ReadOnlyRootFilesystem || *inner.AllowPrivilegeEscalation || !slices.Equal(inner.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: %+v", name, inner)
		}
		if pod.Spec.ServiceAccountName != "heartbeat" || *pod.Spec.AutomountServiceAccountToken || pod.Spec.HostNetwork {
			t.Errorf("%s may talk to the cluster's API or the host's network", name)
		}
		if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s has no limits", name)
		}
	}
}

// A secret is a file that only its role can read, never a variable that a crash report would hold.
func TestSecretsAreFilesOfTheRoleThatNeedsThem(t *testing.T) {
	t.Parallel()
	for name, pod := range pods(t) {
		mounted := map[string]bool{}
		for _, volume := range pod.Spec.Volumes {
			if volume.Secret == nil {
				continue
			}
			if len(volume.Secret.Items) == 0 || *volume.Secret.DefaultMode != 0o440 {
				t.Errorf("%s mounts a whole secret, or for everybody", name)
			}
			for _, item := range volume.Secret.Items {
				mounted["/run/secrets/heartbeat/"+item.Path] = true
			}
		}
		for _, variable := range pod.Spec.Containers[0].Env {
			secret := strings.Contains(variable.Name, "PASSWORD") || strings.Contains(variable.Name, "TOKEN")
			if secret && !strings.HasSuffix(variable.Name, "_FILE") || variable.ValueFrom != nil {
				t.Errorf("%s has a secret in the variable %s", name, variable.Name)
			}
			if secret && !mounted[variable.Value] {
				t.Errorf("%s: %s names %s, which is not mounted", name, variable.Name, variable.Value)
			}
			delete(mounted, variable.Value)
		}
		if len(mounted) > 0 {
			t.Errorf("%s gets secrets that it does not use: %v", name, mounted)
		}
	}
}

func TestConsumersStopInOrderAndSayWhetherTheyStore(t *testing.T) {
	t.Parallel()
	all := objects(t)
	deployment := all["Deployment/heartbeat-consume"].(*appsv1.Deployment)
	if *deployment.Spec.Replicas != 3 || *deployment.Spec.Template.Spec.TerminationGracePeriodSeconds < 15 {
		t.Errorf("%d replicas with %d seconds to stop", *deployment.Spec.Replicas, *deployment.Spec.Template.Spec.TerminationGracePeriodSeconds)
	}
	for name, path := range map[string]string{
		"Deployment/heartbeat-ingest":  "/readyz",
		"Deployment/heartbeat-consume": "/readyz",
		"Deployment/heartbeat-notify":  "/readyz",
		"Deployment/heartbeat-serve":   "/healthz", // the console stays reachable while readings are not stored
	} {
		container := all[name].(*appsv1.Deployment).Spec.Template.Spec.Containers[0]
		ready, live := container.ReadinessProbe.HTTPGet, container.LivenessProbe.HTTPGet
		if ready.Path != path || live.Path != "/healthz" || ready.Port.StrVal != container.Ports[len(container.Ports)-1].Name {
			t.Errorf("%s: ready by %s, alive by %s", name, ready.Path, live.Path)
		}
	}
	container, kept := deployment.Spec.Template.Spec.Containers[0], false
	for _, mount := range container.VolumeMounts {
		isState := slices.ContainsFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == "XDG_STATE_HOME" && v.Value == mount.MountPath })
		kept = kept || isState && !mount.ReadOnly && slices.ContainsFunc(deployment.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool {
			return v.Name == mount.Name && v.EmptyDir != nil // of the pod, so that no other has the same instance id
		})
	}
	if !kept {
		t.Error("a consumer's instance id does not survive the container")
	}
	budget := all["PodDisruptionBudget/heartbeat-consume"].(*policyv1.PodDisruptionBudget)
	if !matches(budget.Spec.Selector, deployment.Spec.Template.Labels) {
		t.Error("the disruption budget is for other pods")
	}
}

func TestNetworkIsClosedButForWhatEachPodNeeds(t *testing.T) {
	t.Parallel()
	all := objects(t)
	closed := all["NetworkPolicy/heartbeat-nothing-else"].(*networkingv1.NetworkPolicy).Spec
	if len(closed.PolicyTypes) != 2 || len(closed.Ingress)+len(closed.Egress) > 0 || len(closed.PodSelector.MatchLabels) > 0 {
		t.Errorf("the network is open: %+v", closed)
	}
	want := map[string][]int{
		"Job/heartbeat-migrate": {53, 5432}, "Deployment/heartbeat-consume": {53, 5432, 9093}, "Deployment/heartbeat-serve": {53, 5432, 9093},
		"Deployment/heartbeat-notify": {53, 443, 465, 587, 5432}, "Deployment/heartbeat-ingest": {53, 5432, 9093},
	}
	for name, pod := range pods(t) {
		var reached []int
		for _, object := range all {
			policy, ok := object.(*networkingv1.NetworkPolicy)
			if !ok || !matches(&policy.Spec.PodSelector, pod.Labels) {
				continue
			}
			for _, rule := range policy.Spec.Egress {
				if len(rule.To) == 0 {
					t.Errorf("%s lets %s reach everybody", policy.Name, name)
				}
				for _, port := range rule.Ports {
					reached = append(reached, port.Port.IntValue())
				}
			}
		}
		slices.Sort(reached)
		if got := slices.Compact(reached); !slices.Equal(got, want[name]) {
			t.Errorf("%s reaches the ports %v, want %v", name, got, want[name])
		}
	}
}

func matches(selector *metav1.LabelSelector, labels map[string]string) bool {
	for key, value := range selector.MatchLabels {
		if labels[key] != value {
			return false
		}
	}
	for _, expression := range selector.MatchExpressions {
		if !slices.Contains(expression.Values, labels[expression.Key]) {
			return false
		}
	}
	return true
}
