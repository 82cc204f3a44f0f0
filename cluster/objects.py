"""What a fresh cluster holds beside Kubernetes' own objects: DNS rights, the storage class and its volumes."""
from . import volumes
from .settings import STORAGE_CLASS, VOLUMES

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def control_plane():
    """(path, object) of what each cluster has."""
    return [(f"/apis/storage.k8s.io/v1/storageclasses/{STORAGE_CLASS}", {
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Retain"})]


def node(places):
    """Rights of CoreDNS, and volumes that lie ready."""
    rules = [{"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
             {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]
    name = "endcap-coredns"
    objects = [
        (f"{RBAC}/clusterroles/{name}", {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                                         "metadata": {"name": name}, "rules": rules}),
        (f"{RBAC}/clusterrolebindings/{name}", {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]}),
    ]
    for number, gibibytes in enumerate(VOLUMES):
        volume = volumes.name(number)
        objects.append((f"/api/v1/persistentvolumes/{volume}", {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
            "spec": {"capacity": {"storage": f"{gibibytes}Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": STORAGE_CLASS,
                     # Emptied and made Available again by volumes.py. (Kubernetes' own `Recycle` was tried: in 1.36 its controller
                     # does not see that its pod has ended.)
                     "persistentVolumeReclaimPolicy": "Retain",
                     "hostPath": {"path": str(places.volumes / volume), "type": "Directory"}}}))
    return objects
