"""Checks what kustomize has made, and prints it as JSON.

manifests.py FILE VERSION...: each object against the strict schema of these versions of
Kubernetes, and all of them against each other: what the schemas cannot know.
"""

import json
import re
import sys
from pathlib import Path

import kubernetes_validate
import yaml

# They are no part of Kubernetes; keda.mjs checks them.
OF_KEDA = "keda.sh/"
METRICS = Path(__file__).resolve().parents[2] / "docs/reference/metrics.md"


def name(thing):
    return f"{thing['kind']} {thing['metadata']['name']}"


def pods(thing):
    """The template of the pods that an object makes, or None."""
    spec = thing.get("spec", {})
    if thing["kind"] == "CronJob":
        return spec["jobTemplate"]["spec"]["template"]
    return spec.get("template") if thing["kind"] == "Deployment" else None


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def check_schema(thing, versions):
    if thing["apiVersion"].startswith(OF_KEDA):
        return
    for version in versions:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = "/".join(map(str, error.path))
            yield f"{name(thing)}: Kubernetes {version}: at {path}: {error.message}"


def check_pod(thing, template):
    """What the namespace's standard `restricted` and our own rules ask for."""
    spec = template["spec"]
    if spec.get("automountServiceAccountToken") is not False:
        yield f"{name(thing)}: its pods get a token of the cluster"
    if not spec.get("securityContext", {}).get("runAsNonRoot"):
        yield f"{name(thing)}: its pods may run as root"
    mounted = {volume["name"] for volume in spec.get("volumes", [])}
    for container in spec["containers"]:
        context = container.get("securityContext", {})
        if not context.get("readOnlyRootFilesystem") or context.get("allowPrivilegeEscalation") is not False:
            yield f"{name(thing)}: {container['name']} is not hardened"
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{name(thing)}: {container['name']} keeps capabilities"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"{name(thing)}: {container['name']} has no limit on its memory"
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in mounted:
                yield f"{name(thing)}: nothing is mounted at {mount['mountPath']}"
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if thing["kind"] == "Deployment" and container.get(probe, {}).get("httpGet", {}).get("port") not in ports:
                yield f"{name(thing)}: the {probe} of {container['name']} asks at no port of it"
        for variable in container.get("env", []):
            path = variable["value"].removeprefix("file:")
            if path.startswith("/") and not any(
                path.startswith(mount["mountPath"] + "/") for mount in container["volumeMounts"]
            ):
                yield f"{name(thing)}: {variable['name']} names a file that is not mounted"


def check_targets(things, labels):
    """Selectors find pods, and what is scaled is there and has no number of its own."""
    by_name = {name(thing): thing for thing in things}
    for thing in things:
        spec = thing.get("spec", {})
        selector = {
            "NetworkPolicy": spec.get("podSelector"),
            "PodDisruptionBudget": spec.get("selector"),
            "Service": {"matchLabels": spec.get("selector")},
        }.get(thing["kind"])
        if selector and not any(selects(selector, of_pod) for of_pod in labels):
            yield f"{name(thing)}: no pod of ours has the labels that it selects"
        if thing["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = by_name.get(f"Deployment {spec['scaleTargetRef']['name']}")
            if target is None:
                yield f"{name(thing)}: what it scales is not there"
            elif "replicas" in target["spec"]:
                yield f"{name(thing)}: {name(target)} sets its number too, at each apply"


def check_secrets(things, templates):
    """Where secrets are made, there is none that a pod waits for in vain."""
    made = {thing["metadata"]["name"] for thing in things if thing["kind"] == "Secret"}
    for thing, template in templates:
        wanted = {volume["secret"]["secretName"] for volume in template["spec"].get("volumes", []) if "secret" in volume}
        if made and wanted - made:
            yield f"{name(thing)}: nothing makes {', '.join(sorted(wanted - made))}"


def check_metrics(thing):
    """What is asked of Prometheus is a metric that the reference describes."""
    if thing["kind"] != "ScaledObject":
        return
    known = set(re.findall(r"`(pisync_\w+)", METRICS.read_text()))
    for trigger in thing["spec"]["triggers"]:
        for metric in re.findall(r"pisync_\w+", trigger["metadata"]["query"]):
            if metric not in known:
                yield f"{name(thing)}: there is no metric {metric}"


def main(path, versions):
    things = [thing for thing in yaml.safe_load_all(Path(path).read_text()) if thing]
    templates = [(thing, pods(thing)) for thing in things if pods(thing)]
    problems = [problem for thing in things for problem in check_schema(thing, versions)]
    for thing, template in templates:
        problems += check_pod(thing, template)
    problems += check_secrets(things, templates)
    problems += check_targets(things, [template["metadata"]["labels"] for _, template in templates])
    problems += [problem for thing in things for problem in check_metrics(thing)]
    print(json.dumps(things))
    print(f"{Path(path).stem}: {len(things)} objects, Kubernetes {' and '.join(versions)}", file=sys.stderr)
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
